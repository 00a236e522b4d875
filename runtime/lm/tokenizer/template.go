package tokenizer

import (
	"encoding/json"
	"errors"
	"slices"
)

// item is one step of a template: ids, or a text ("A", "B"), and the type that
// these tokens get.
type item struct {
	IDs  []int32 `json:"ids,omitempty"`
	Text string  `json:"text,omitempty"`
	Type int32   `json:"type,omitempty"`
}

func (i item) equal(o item) bool {
	return slices.Equal(i.IDs, o.IDs) && i.Text == o.Text && i.Type == o.Type
}

// processor is the post_processor.
type processor struct {
	Type           string                  `json:"type"`
	Processors     []processor             `json:"processors"`
	AddPrefixSpace bool                    `json:"add_prefix_space"`
	TrimOffsets    bool                    `json:"trim_offsets"`
	UseRegex       bool                    `json:"use_regex"`
	Single         []templateItem          `json:"single"`
	Pair           []templateItem          `json:"pair"`
	Special        map[string]templateWord `json:"special_tokens"`
	CLS            *sepToken               `json:"cls"` // RobertaProcessing, BertProcessing
	SEP            *sepToken               `json:"sep"`
}

// sepToken is written ["</s>", 2].
type sepToken struct {
	text string
	id   int32
}

func (s *sepToken) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil || len(pair) != 2 {
		return errors.New("want [token, id]")
	}
	return errors.Join(json.Unmarshal(pair[0], &s.text), json.Unmarshal(pair[1], &s.id))
}

type templateItem struct {
	Sequence     *templateRef `json:"Sequence"`
	SpecialToken *templateRef `json:"SpecialToken"`
}

type templateRef struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

type templateWord struct {
	ID     string   `json:"id"`
	IDs    []int32  `json:"ids"`
	Tokens []string `json:"tokens"`
}

// setTemplate works out what goes round one text and round two.
func (t *Tokenizer) setTemplate(p *processor) error {
	if p == nil {
		return nil
	}
	list := []processor{*p}
	if p.Type == "Sequence" {
		list = p.Processors
	}
	templates := 0
	for _, p := range list {
		switch p.Type {
		case "ByteLevel": // moves offsets only
			continue
		case "RobertaProcessing", "BertProcessing":
			if p.CLS == nil || p.SEP == nil {
				return bad("post_processor %s: no cls or no sep", p.Type)
			}
			p.clsSep()
		case "TemplateProcessing":
		default:
			return unsupported("post_processor %q", p.Type)
		}
		if templates++; templates > 1 {
			return unsupported("post_processor with two templates")
		}
		for name, w := range p.Special { // those of a class have no ids yet
			if id, ok := t.ID(name); ok && slices.Equal(w.IDs, []int32{-1}) {
				p.Special[name] = templateWord{IDs: []int32{id}}
			}
		}
		if err := t.setItems(&p); err != nil {
			return err
		}
	}
	return nil
}

func wordItem(s *sepToken, kind int32) templateItem {
	return templateItem{SpecialToken: &templateRef{ID: s.text, TypeID: kind}}
}

func textItem(id string, kind int32) templateItem {
	return templateItem{Sequence: &templateRef{ID: id, TypeID: kind}}
}

// clsSep writes BERT's and RoBERTa's templates out.
func (p *processor) clsSep() {
	p.Special = map[string]templateWord{p.CLS.text: {IDs: []int32{p.CLS.id}}, p.SEP.text: {IDs: []int32{p.SEP.id}}}
	p.Single = []templateItem{wordItem(p.CLS, 0), textItem("A", 0), wordItem(p.SEP, 0)}
	if p.Type == "BertProcessing" {
		p.Pair = slices.Concat(p.Single, []templateItem{textItem("B", 1), wordItem(p.SEP, 1)})
	} else {
		p.Pair = slices.Concat(p.Single, []templateItem{wordItem(p.SEP, 0), textItem("B", 0), wordItem(p.SEP, 0)})
	}
}

func (t *Tokenizer) setItems(p *processor) error {
	c := &t.cfg
	single, err := p.items(p.Single, "A")
	if err != nil {
		return err
	}
	pair, err := p.items(p.Pair, "A", "B")
	if err != nil {
		return err
	}
	at := slices.IndexFunc(single, func(i item) bool { return i.Text != "" })
	for i, s := range single {
		if i < at {
			c.Prefix = append(c.Prefix, s.IDs...)
		} else {
			c.Suffix = append(c.Suffix, s.IDs...)
		}
	}
	if !slices.EqualFunc(single, c.template(1), item.equal) {
		c.Single = single
	}
	if len(pair) > 0 && !slices.EqualFunc(pair, c.template(2), item.equal) {
		c.Pair = pair
	}
	return nil
}

// items reads a template, in which each of texts stands once. Neighbours of a
// type are one item. No items at all say nothing of pairs.
func (p *processor) items(list []templateItem, texts ...string) (out []item, err error) {
	if len(list) == 0 && len(texts) == 2 {
		return nil, nil
	}
	found := map[string]int{}
	for _, i := range list {
		switch {
		case i.Sequence != nil && i.SpecialToken == nil && slices.Contains(texts, i.Sequence.ID):
			found[i.Sequence.ID]++
			out = append(out, item{Text: i.Sequence.ID, Type: i.Sequence.TypeID})
		case i.SpecialToken != nil && i.Sequence == nil:
			word, ok := p.Special[i.SpecialToken.ID]
			if !ok {
				return nil, bad("post_processor: special token %q is not described", i.SpecialToken.ID)
			}
			if n := len(out) - 1; n >= 0 && out[n].Text == "" && out[n].Type == i.SpecialToken.TypeID {
				out[n].IDs = slices.Concat(out[n].IDs, word.IDs)
			} else if len(word.IDs) > 0 {
				out = append(out, item{IDs: word.IDs, Type: i.SpecialToken.TypeID})
			}
		default:
			return nil, bad("post_processor: a template item must be SpecialToken or Sequence %v", texts)
		}
	}
	for _, text := range texts {
		if found[text] != 1 {
			return nil, bad("post_processor: text %s stands %d times in the template, must be once", text, found[text])
		}
	}
	return out, nil
}

// template is what goes round one text or two: as the configuration says, or
// else prefix and suffix round each, the second of type 1.
func (c *config) template(texts int) (list []item) {
	if texts == 1 && c.Single != nil {
		return c.Single
	}
	if texts == 2 && c.Pair != nil {
		return c.Pair
	}
	for i, text := range []string{"A", "B"}[:texts] {
		for _, part := range []item{{IDs: c.Prefix}, {Text: text}, {IDs: c.Suffix}} {
			part.Type = int32(i)
			if n := len(list) - 1; n >= 0 && part.Text == "" && list[n].Text == "" && list[n].Type == part.Type {
				list[n].IDs = slices.Concat(list[n].IDs, part.IDs)
			} else if part.Text != "" || len(part.IDs) > 0 {
				list = append(list, part)
			}
		}
	}
	return list
}

// checkTemplate checks the ids that the configuration names.
func (t *Tokenizer) checkTemplate() error {
	c := &t.cfg
	ids := slices.Concat(c.Prefix, c.Suffix)
	for _, id := range []*int32{c.BOS, c.EOS} {
		if id != nil {
			ids = append(ids, *id)
		}
	}
	for _, list := range []struct {
		items []item
		texts []string
	}{{c.Single, []string{"A"}}, {c.Pair, []string{"A", "B"}}} {
		var texts []string
		for _, i := range list.items {
			if ids = append(ids, i.IDs...); i.Text != "" {
				texts = append(texts, i.Text)
			}
			if i.Type < 0 || (i.Text == "") == (len(i.IDs) == 0) {
				return bad("template: an item of type %d, %d ids and text %q", i.Type, len(i.IDs), i.Text)
			}
		}
		if slices.Sort(texts); len(list.items) > 0 && !slices.Equal(texts, list.texts) {
			return bad("template: texts %v, must be %v", texts, list.texts)
		}
	}
	for _, id := range ids {
		if _, ok := t.Token(id); !ok {
			return bad("template, bos or eos: no token has id %d", id)
		}
	}
	return nil
}
