package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"qpt/internal/strictjson"
)

// tokenValue is a token in a settings file: null, a text, or an object as Python's AddedToken.
type tokenValue struct {
	addedToken
	object bool
}

func (n *tokenValue) UnmarshalJSON(data []byte) error {
	var o struct {
		Content                                         *string
		SingleWord, Lstrip, Rstrip, Normalized, Special *bool
	}
	var raw map[string]json.RawMessage
	switch {
	case json.Unmarshal(data, &n.Content) == nil: // "" of null
		n.Special = true
		return nil
	case json.Unmarshal(data, &raw) != nil || json.Unmarshal(raw["content"], &o.Content) != nil || o.Content == nil:
		return fmt.Errorf("%.60s is no token: want a text or an object with the key content", data)
	}
	for key, to := range map[string]**bool{"single_word": &o.SingleWord, "lstrip": &o.Lstrip, "rstrip": &o.Rstrip, "normalized": &o.Normalized, "special": &o.Special} {
		if v, ok := raw[key]; ok && json.Unmarshal(v, to) != nil {
			return fmt.Errorf("%s: %.60s is not true or false", key, v)
		}
	}
	on := func(b *bool, otherwise bool) bool {
		if b == nil {
			return otherwise
		}
		return *b
	}
	n.object = true
	n.Content, n.SingleWord, n.Lstrip, n.Rstrip = *o.Content, on(o.SingleWord, false), on(o.Lstrip, false), on(o.Rstrip, false)
	n.Special = on(o.Special, false)
	n.Normalized = on(o.Normalized, !n.Special)
	return nil
}

// specials are the attributes of a tokenizer in transformers, in the order in which they are added.
var specials = strings.Fields("bos_token eos_token unk_token sep_token pad_token cls_token mask_token")

// named are the special tokens by name, in the order in which transformers adds them.
func (s *settings) named(c *family) (names []string, tokens map[string]tokenValue, err error) {
	tokens = map[string]tokenValue{}
	take := func(v *setting, key string, raw json.RawMessage) error {
		var n tokenValue
		if err := json.Unmarshal(raw, &n); err != nil {
			return v.bad("%w", err)
		}
		if _, twice := tokens[key]; !twice && n.Content != "" {
			names = append(names, key)
		}
		if n.Special = true; n.Content != "" {
			tokens[key] = n
		}
		return nil
	}
	for _, key := range slices.Concat(specials, c.more) {
		if v := s.given(key); v != nil {
			err = take(v, key, v.value)
		} else if text := c.tokens[key]; text != "" {
			names = append(names, key)
			tokens[key] = tokenValue{addedToken: addedToken{Content: text, Special: true}}
		}
		if err != nil {
			return nil, nil, err
		}
	}
	for i := range s.list {
		v := &s.list[i]
		object := len(v.value) > 0 && v.value[0] == '{'
		switch {
		case slices.Contains(specials, v.key), slices.Contains(c.more, v.key):
		case strings.HasSuffix(v.key, "_token") && (object || v.value[0] == '"'): // add_bos_token is true or false
			err = take(v, v.key, v.value)
		case object && (v.key == "extra_special_tokens" || v.key == "model_specific_special_tokens"):
			var list []setting
			if list, err = orderedKeys(v.value); err != nil {
				return nil, nil, v.bad("%w", err)
			}
			for _, o := range list {
				if err == nil {
					err = take(v, o.key, o.value)
				}
			}
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return names, tokens, nil
}

// extra are the special tokens without a name.
func (s *settings) extra(c *family) (list []tokenValue, err error) {
	v := s.get("extra_special_tokens")
	if v == nil || string(v.value) == "[]" || string(v.value) == "{}" {
		v = s.get("additional_special_tokens")
	}
	if v == nil && c.extras > 0 {
		return s.numbered(c.extras)
	}
	if v == nil || v.value[0] == '{' {
		return nil, nil
	}
	if err := json.Unmarshal(v.value, &list); err != nil {
		return nil, v.bad("%w", err)
	}
	return slices.DeleteFunc(list, func(n tokenValue) bool { return n.Content == "" }), nil
}

// numbered are T5's tokens for gaps, n unless extra_ids says otherwise.
func (s *settings) numbered(n int) (list []tokenValue, err error) {
	if v := s.get("extra_ids"); v != nil {
		if json.Unmarshal(v.value, &n) != nil || n < 0 || n > 1<<16 {
			return nil, v.bad("%.60s is not a number of tokens", v.value)
		}
	}
	for i := range n {
		list = append(list, tokenValue{addedToken: addedToken{Content: fmt.Sprintf("<extra_id_%d>", i), Special: true}})
	}
	return list, nil
}

// added lists the added tokens as transformers adds them, the last of one
// spelling counting: first own, those that are there from the start; then
// those of added_tokens_decoder, or else of added_tokens.json and file, the
// list of tokenizer.json, in the order of their ids; then special tokens that
// are not among them, which get ids of their own (-1 here).
func (s *settings) added(own, file []addedToken, c *family) (list []addedToken, err error) {
	add := func(a addedToken) {
		if i := slices.IndexFunc(list, func(o addedToken) bool { return o.Content == a.Content }); i >= 0 {
			a.ID = list[i].ID
			a.Special = a.Special || list[i].Special // the library never forgets that
			list[i] = a
			return
		}
		list = append(list, a)
	}
	list = append(list, own...) // duplicates are found out later
	names, tokens, err := s.named(c)
	if err != nil {
		return nil, err
	}
	extra, err := s.extra(c)
	if err != nil {
		return nil, err
	}
	var special []addedToken
	isNamed := map[string]bool{}
	for _, name := range names {
		special = append(special, tokens[name].addedToken)
		isNamed[tokens[name].Content] = true
	}
	for _, n := range extra {
		special = append(special, n.addedToken)
	}
	listed, err := s.listed(file, isNamed)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(listed)) {
		a := listed[id]
		a.Special = a.Special || isNamed[a.Content]
		add(a)
	}
	for _, a := range special {
		if !slices.ContainsFunc(list, func(o addedToken) bool { return o.Content == a.Content }) {
			a.ID = -1
			add(a)
		}
	}
	for i, a := range list {
		if c.plain && slices.ContainsFunc(special, func(o addedToken) bool { return o.Content == a.Content }) {
			list[i] = addedToken{ID: a.ID, Content: a.Content, Special: true}
		}
	}
	return list, nil
}

// listed are the tokens of added_tokens_decoder, or else those of
// added_tokens.json and of file, by id. Those that are not from file get their
// ids later (-1 here); check compares.
func (s *settings) listed(file []addedToken, isNamed map[string]bool) (map[int32]addedToken, error) {
	byID := map[int32]addedToken{}
	if v := s.get("added_tokens_decoder"); v != nil {
		var words map[int32]tokenValue
		if err := json.Unmarshal(v.value, &words); err != nil {
			return nil, v.bad("%w", err)
		}
		s.from = configName
		for id, w := range words {
			if w.Content == "" {
				return nil, v.bad("token %d has no content", id)
			}
			s.wanted[w.Content] = id
			w.ID = -1
			byID[id] = w.addedToken
		}
		return byID, nil
	}
	if s.addedJS != nil {
		var words map[string]int32
		err := strictjson.Check(s.addedJS)
		if err == nil {
			err = json.Unmarshal(s.addedJS, &words)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", addedName, ErrFormat, err)
		}
		s.from = addedName
		for text, id := range words {
			s.wanted[text] = id
			byID[id] = addedToken{ID: -1, Content: text, Normalized: !isNamed[text], Special: isNamed[text]}
		}
	}
	for _, a := range file {
		byID[a.ID] = a
	}
	return byID, nil
}

// check holds the ids that the files give against those that came out.
func (s *settings) check(t *Tokenizer) error {
	for _, text := range slices.Sorted(maps.Keys(s.wanted)) {
		if id, at := s.wanted[text], t.addedID[text]; at != id {
			return fmt.Errorf("%s: %w", s.from, bad("token %q has id %d, must have %d (the next free one or that of the same word in the vocabulary)", text, id, at))
		}
	}
	return nil
}

// setNamed notes the special tokens by name.
func (t *Tokenizer) setNamed(s *settings, c *family) error {
	_, tokens, err := s.named(c)
	if err != nil {
		return err
	}
	for name, n := range tokens {
		if t.cfg.Named == nil {
			t.cfg.Named = map[string]string{}
		}
		t.cfg.Named[name] = n.Content
		if id, ok := t.ID(n.Content); ok {
			switch name {
			case "bos_token":
				t.cfg.BOS = &id
			case "eos_token":
				t.cfg.EOS = &id
			}
		}
	}
	return nil
}
