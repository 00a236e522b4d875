package serve

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"qpt/runtime/encoder"
	"qpt/runtime/lm/tokenizer"
)

// passages are texts, each by itself or as the text of an object.
type passages []string

func (p *passages) UnmarshalJSON(b []byte) error {
	var items []json.RawMessage
	if json.Unmarshal(b, &items) != nil {
		items = []json.RawMessage{b}
	}
	for _, item := range items {
		var text string
		var object struct {
			Text *string `json:"text"`
		}
		switch {
		case json.Unmarshal(item, &text) == nil:
		case json.Unmarshal(item, &object) == nil && object.Text != nil:
			text = *object.Text
		default:
			return refuse("", `want a text, {"text": ..}, or a list of them`)
		}
		*p = append(*p, text)
	}
	return nil
}

// similarity scores pairs of texts: by a cross-encoder, which reads both at once, or by the cosine of their embeddings. raw are a cross-encoder's logits.
func (s *Server) similarity(c *call, m *model, first, second []string, cut *cutting, raw bool) (scores []float32, u *usage, err error) {
	if m.enc == nil {
		return nil, nil, refuse("model", "the model %s scores no pairs: %s", m.name, m.gives())
	}
	most, err := cut.most(m)
	if err != nil {
		return nil, nil, err
	}
	var list []tokenizer.Encoding
	add := func(texts ...string) error {
		e, err := m.whole(c.ctx(), most, texts...)
		if err == nil {
			err = m.check("", len(list), &e)
		}
		list = append(list, e)
		return err
	}
	if output, ok := m.crosses(); ok {
		if raw {
			output = encoder.Logits
		}
		for i := range second {
			if err := add(first[i%len(first)], second[i]); err != nil {
				return nil, nil, err
			}
		}
		rows, u, err := s.read(c, m, list, output)
		for _, r := range rows {
			scores = append(scores, r[0])
		}
		return scores, u, err
	}
	if m.enc.Width() == 0 {
		return nil, nil, refuse("model", "the model %s scores no pairs: %s", m.name, m.gives())
	}
	for _, text := range slices.Concat(first, second) {
		if err := add(text); err != nil {
			return nil, nil, err
		}
	}
	rows, u, err := s.read(c, m, list, encoder.Embedding)
	if err != nil {
		return nil, nil, err
	}
	for i := range second {
		scores = append(scores, cosine(rows[i%len(first)], rows[len(first)+i]))
	}
	return scores, u, nil
}

// crosses tells whether the model is a cross-encoder, and which output has its score.
func (m *model) crosses() (output string, ok bool) {
	output, labels, err := m.enc.Classes()
	return output, err == nil && labels == 1
}

// cosine of two vectors; 0 where one has no length.
func cosine(a, b []float32) float32 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return float32(ab / math.Sqrt(aa*bb))
}

// rerankRequest is Jina's and Cohere's, as vLLM and llama-server take it, or, with texts in place of documents, that of
// text-embeddings-inference (TEI).
type rerankRequest struct {
	cutting
	Model     string   `json:"model"`
	Query     *string  `json:"query"`
	Documents passages `json:"documents"`
	Top       *int     `json:"top_n"`
	Return    *bool    `json:"return_documents"`

	Texts  []string `json:"texts"`
	Raw    *bool    `json:"raw_scores"` // logits, not their sigmoid
	Text   *bool    `json:"return_text"`
	Cutoff *string  `json:"truncation_direction"`
}

// form refuses what belongs to the other of both forms.
func (q *rerankRequest) form() error {
	for _, p := range []struct {
		name  string
		given bool
		texts bool
	}{{"documents", q.Documents != nil, false}, {"top_n", q.Top != nil, false}, {"return_documents", q.Return != nil, false}, {"raw_scores", q.Raw != nil, true}, {"return_text", q.Text != nil, true}, {"truncation_direction", q.Cutoff != nil, true}} {
		if other := q.Texts != nil; p.given && p.texts != other {
			return refuse(p.name, "%s beside %s: give documents, in the form of Cohere and Jina, or texts, in that of text-embeddings-inference", p.name, map[bool]string{true: "texts", false: "documents"}[other])
		}
	}
	if q.Cutoff != nil && !strings.EqualFold(*q.Cutoff, "right") {
		return refuse("truncation_direction", "truncation_direction %.40q is not supported: texts are cut on the right", *q.Cutoff)
	}
	return nil
}

// rankedText is TEI's answer for a text.
type rankedText struct {
	Index int     `json:"index"`
	Text  *string `json:"text,omitempty"`
	Score float32 `json:"score"`
}

// rerankTexts answers in TEI's form: a cross-encoder's logits or their sigmoid.
func (s *Server) rerankTexts(c *call, m *model, q *rerankRequest) error {
	scores, _, err := s.similarity(c, m, []string{*q.Query}, q.Texts, &q.cutting, true)
	if err != nil {
		return err
	}
	list := make([]rankedText, len(scores))
	_, logits := m.crosses()
	for i, x := range scores {
		if logits && (q.Raw == nil || !*q.Raw) {
			x = float32(1 / (1 + math.Exp(-float64(x))))
		}
		if list[i] = (rankedText{Index: i, Score: x}); q.Text != nil && *q.Text {
			list[i].Text = &q.Texts[i]
		}
	}
	slices.SortStableFunc(list, func(a, b rankedText) int { return cmp.Compare(b.Score, a.Score) })
	return writeJSON(c.w, 200, list)
}

type ranked struct {
	Index    int               `json:"index"`
	Document map[string]string `json:"document,omitempty"`
	Score    float32           `json:"relevance_score"`
}

func (s *Server) rerank(c *call) error {
	var q rerankRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	m, err := s.find(q.Model)
	if err != nil {
		return err
	}
	if err := q.form(); err != nil {
		return err
	}
	n, name := len(q.Documents), "documents"
	if q.Texts != nil {
		n, name = len(q.Texts), "texts"
	}
	switch {
	case q.Query == nil:
		return refuse("query", "query is missing")
	case n == 0:
		return refuse(name, "%s are missing", name)
	case n > maxInputs:
		return refuse(name, "%d %s, at most %d", n, name, maxInputs)
	case q.Top != nil && *q.Top < 0:
		return refuse("top_n", "top_n %d: must not be negative", *q.Top)
	case q.Texts != nil:
		return s.rerankTexts(c, m, &q)
	}
	scores, u, err := s.similarity(c, m, []string{*q.Query}, q.Documents, &q.cutting, false)
	if err != nil {
		return err
	}
	list := make([]ranked, len(scores))
	for i, x := range scores {
		if list[i] = (ranked{Index: i, Score: x}); q.Return == nil || *q.Return {
			list[i].Document = map[string]string{"text": q.Documents[i]}
		}
	}
	slices.SortStableFunc(list, func(a, b ranked) int { return cmp.Compare(b.Score, a.Score) })
	if q.Top != nil && *q.Top > 0 {
		list = list[:min(*q.Top, len(list))]
	}
	return writeJSON(c.w, 200, map[string]any{"id": newID("rerank-"), "object": "list", "model": m.as(q.Model), "usage": u, "results": list})
}

// scoreRequest is vLLM's: text_1 is one text, or as many as text_2 has.
type scoreRequest struct {
	cutting
	Model     string   `json:"model"`
	First     passages `json:"text_1"`
	Second    passages `json:"text_2"`
	Queries   passages `json:"queries"`   // in newer releases
	Documents passages `json:"documents"` //
}

type scored struct {
	Index  int     `json:"index"`
	Object string  `json:"object"`
	Score  float32 `json:"score"`
}

func (s *Server) score(c *call) error {
	var q scoreRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	m, err := s.find(q.Model)
	if err != nil {
		return err
	}
	first, second := append(q.First, q.Queries...), append(q.Second, q.Documents...)
	switch {
	case len(first) == 0 || len(second) == 0:
		return refuse("text_1", "text_1 and text_2 (or queries and documents) are missing")
	case len(second) > maxInputs:
		return refuse("text_2", "%d texts, at most %d", len(second), maxInputs)
	case len(first) != 1 && len(first) != len(second):
		return refuse("text_1", "%d texts beside %d: must be one, or as many", len(first), len(second))
	}
	scores, u, err := s.similarity(c, m, first, second, &q.cutting, false)
	if err != nil {
		return err
	}
	list := make([]scored, len(scores))
	for i, x := range scores {
		list[i] = scored{i, "score", x}
	}
	return writeJSON(c.w, 200, map[string]any{"id": newID("score-"), "object": "list", "created": time.Now().Unix(), "model": m.as(q.Model), "data": list, "usage": u})
}
