package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"qpt/internal/strictjson"
)

// Files are the files of a checkpoint's folder that say how text becomes ids;
// nil is a file that is not there. What each of their keys does: spec/checkpoint.md.
type Files struct {
	Tokenizer        []byte // tokenizer.json, which must be there
	Config           []byte // tokenizer_config.json
	SpecialTokensMap []byte // special_tokens_map.json
	AddedTokens      []byte // added_tokens.json

	// Class is tokenizer_class of config.json, which counts where
	// tokenizer_config.json has none.
	Class string
	// Templates are chat_template.jinja, as "default", and the files of
	// additional_chat_templates by name; any of them replace those of tokenizer_config.json.
	Templates map[string]string
}

// Parse is ParseFiles of the two files that matter most; config may be nil.
func Parse(tokenizerJSON, config []byte) (*Tokenizer, error) {
	t, _, err := ParseFiles(Files{Tokenizer: tokenizerJSON, Config: config})
	return t, err
}

// ParseFiles makes the tokenizer that transformers 5 makes of a checkpoint's
// folder. Whatever would change ids or text and is not implemented is an error
// that names file and key. notes say where transformers 4 does otherwise, and what is given up.
func ParseFiles(f Files) (t *Tokenizer, notes []string, err error) {
	file, m, err := readTokenizerJSON(f.Tokenizer)
	if err != nil {
		return nil, nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	s, err := readSettings(f)
	if err != nil {
		return nil, nil, err
	}
	c, err := s.class(f)
	if err != nil {
		return nil, nil, err
	}
	own := file.Added // of tokenizer.json
	if c.build != nil {
		own = nil
		if notes, err = c.rebuild(file, m, s); err != nil {
			return nil, nil, err
		}
	}
	added, err := s.added(own, file.Added, c)
	if err != nil {
		return nil, nil, err
	}
	file.Added = added
	if t, err = newTokenizer(file, m); err != nil {
		return nil, nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	if err := s.check(t); err != nil {
		return nil, nil, err
	}
	if err := t.setNamed(s, c); err != nil {
		return nil, nil, err
	}
	notes = append(notes, s.templateNotes(t, c)...)
	if err := s.chatTemplates(t, f.Templates); err != nil {
		return nil, nil, err
	}
	t.cfg.SplitSpecial, err = s.bool("split_special_tokens", false)
	return t, notes, err
}

// setting is one key of a settings file.
type setting struct {
	file, key string
	value     json.RawMessage
}

// settings are the keys of tokenizer_config.json and, where that has no
// added_tokens_decoder, of special_tokens_map.json, which then count more:
// transformers reads the older file in the newer one's place. In the files' order.
type settings struct {
	list    []setting
	addedJS []byte // added_tokens.json, where it counts

	wanted map[string]int32 // ids that the files want for added tokens
	from   string           // the file that says so
}

const (
	configName  = "tokenizer_config.json"
	specialName = "special_tokens_map.json"
	addedName   = "added_tokens.json"
)

func readSettings(f Files) (*settings, error) {
	s := &settings{wanted: map[string]int32{}}
	if err := s.read(configName, f.Config); err != nil {
		return nil, err
	}
	if s.get("added_tokens_decoder") == nil {
		s.addedJS = f.AddedTokens
		if err := s.read(specialName, f.SpecialTokensMap); err != nil {
			return nil, err
		}
	}
	for _, v := range s.list {
		if err := v.known(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *settings) read(file string, data []byte) error {
	if data == nil {
		return nil
	}
	keys, err := orderedKeys(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, v := range keys {
		v.file = file
		if i := slices.IndexFunc(s.list, func(o setting) bool { return o.key == v.key }); i >= 0 {
			s.list[i] = v
		} else {
			s.list = append(s.list, v)
		}
	}
	return nil
}

// orderedKeys are the keys of a JSON object in its order.
func orderedKeys(data []byte) (list []setting, err error) {
	if err := strictjson.Check(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, bad("must be a json object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		v := setting{key: key.(string)}
		if err := d.Decode(&v.value); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		list = append(list, v)
	}
	return list, nil
}

// get returns a key that is there and not null.
func (s *settings) get(key string) *setting {
	if v := s.given(key); v != nil && !v.null() {
		return v
	}
	return nil
}

// given returns a key that is there; null gives up a class's default.
func (s *settings) given(key string) *setting {
	for i := range s.list {
		if s.list[i].key == key {
			return &s.list[i]
		}
	}
	return nil
}

func (v *setting) null() bool { return string(v.value) == "null" }

func (v *setting) bad(format string, a ...any) error {
	return fmt.Errorf("%s: %w", v.file, bad("%.200s: "+format, append([]any{v.key}, a...)...))
}

func (v *setting) unsupported(format string, a ...any) error {
	return fmt.Errorf("%s: %w", v.file, unsupported("%.200s: "+format, append([]any{v.key}, a...)...))
}

func (s *settings) bool(key string, otherwise bool) (bool, error) {
	v := s.get(key)
	if v == nil {
		return otherwise, nil
	}
	if json.Unmarshal(v.value, &otherwise) != nil {
		return false, v.bad("%.60s is not true or false", v.value)
	}
	return otherwise, nil
}

// honoured are the keys that are acted upon; special tokens (any key that ends
// with _token) besides.
var honoured = strings.Fields(`
	tokenizer_class auto_map added_tokens_decoder additional_special_tokens extra_special_tokens model_specific_special_tokens
	add_prefix_space legacy split_special_tokens chat_template add_bos_token add_eos_token
`)

// inertKeys have no effect on the ids of a text, its text again or the chat template.
var inertKeys = strings.Fields(`
	clean_up_tokenization_spaces spaces_between_special_tokens model_max_length max_length max_len stride truncation_strategy truncation_side
	padding_side padding pad_to_multiple_of pad_token_type_id model_input_names return_token_type_ids return_tensors
	processor_class image_processor_type feature_extractor_type use_default_system_prompt sp_model_kwargs
	name_or_path special_tokens_map_file tokenizer_file vocab_file merges_file files_loaded backend is_local local_files_only trust_remote_code
	use_fast from_slow slow_tokenizer_class tokenizer_type errors trim_offsets verbose vocab_size device_map revision torch_dtype dtype
	response_schema response_template chat_control_tokens fix_mistral_regex strip_accents tokenize_chinese_chars never_split
	transformers_version unsloth_version unsloth_fixed
`)

// inertAt are keys without an effect at one value only.
var inertAt = map[string]string{
	"init_inputs": "[]", "do_lower_case": "false", "remove_space": "false", "keep_accents": "true",
	"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": "false",
}

// known refuses a key that nobody here knows.
func (v *setting) known() error {
	want, only := inertAt[v.key]
	switch {
	case v.null(), strings.HasPrefix(v.key, "_"), strings.HasSuffix(v.key, "_token"), strings.HasSuffix(v.key, "_token_id"),
		slices.Contains(honoured, v.key), slices.Contains(inertKeys, v.key), only && string(v.value) == want:
		return nil
	case only:
		return v.unsupported("%.60s, only %s is supported", v.value, want)
	}
	return v.unsupported("unknown key, which may change the ids of a text: remove it from the file if you know that it does not")
}

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
func (s *settings) extra() (list []tokenValue, err error) {
	v := s.get("extra_special_tokens")
	if v == nil || string(v.value) == "[]" || string(v.value) == "{}" {
		v = s.get("additional_special_tokens")
	}
	if v == nil || v.value[0] == '{' {
		return nil, nil
	}
	if err := json.Unmarshal(v.value, &list); err != nil {
		return nil, v.bad("%w", err)
	}
	return slices.DeleteFunc(list, func(n tokenValue) bool { return n.Content == "" }), nil
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
			w.ID = -1 // check compares
			byID[id] = w.addedToken
		}
	} else {
		if s.addedJS != nil {
			var words map[string]int32
			if err := strictjson.Check(s.addedJS); err != nil {
				return nil, fmt.Errorf("%s: %w: %w", addedName, ErrFormat, err)
			}
			if err := json.Unmarshal(s.addedJS, &words); err != nil {
				return nil, fmt.Errorf("%s: %w: %w", addedName, ErrFormat, err)
			}
			s.from = addedName
			for text, id := range words {
				s.wanted[text] = id
				special := slices.ContainsFunc(slices.Collect(maps.Values(tokens)), func(n tokenValue) bool { return n.Content == text })
				byID[id] = addedToken{ID: -1, Content: text, Normalized: !special, Special: special}
			}
		}
		for _, a := range file {
			byID[a.ID] = a
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		a := byID[id]
		for _, n := range tokens {
			a.Special = a.Special || n.Content == a.Content
		}
		add(a)
	}
	extra, err := s.extra()
	if err != nil {
		return nil, err
	}
	var rest []tokenValue
	for _, name := range names {
		rest = append(rest, tokens[name])
	}
	for _, n := range append(rest, extra...) {
		if a := n.addedToken; !slices.ContainsFunc(list, func(o addedToken) bool { return o.Content == a.Content }) {
			a.ID = -1
			add(a)
		}
	}
	if c.plain {
		for i := range list {
			for _, n := range append(rest, extra...) {
				if a := &list[i]; a.Content == n.Content {
					*a = addedToken{ID: a.ID, Content: a.Content, Special: true}
				}
			}
		}
	}
	return list, nil
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

// templateNotes tell where add_bos_token and add_eos_token, which transformers
// 5 does not look at beside a tokenizer.json, would put or leave out a token.
func (s *settings) templateNotes(t *Tokenizer, c *family) (notes []string) {
	for _, k := range []struct {
		key, word string
		id        *int32
		ids       []int32
	}{{"add_bos_token", "before", t.cfg.BOS, t.cfg.Prefix}, {"add_eos_token", "behind", t.cfg.EOS, t.cfg.Suffix}} {
		v := s.get(k.key)
		if on, err := s.bool(k.key, false); v != nil && err == nil && k.id != nil && on != slices.Contains(k.ids, *k.id) {
			notes = append(notes, fmt.Sprintf("%s: %s is %v, but what stands %s a text is what tokenizer.json says, as in transformers 5 (4 follows the key)", v.file, k.key, on, k.word))
		}
	}
	if pre := t.cfg.PreTokenizer; c.build == nil && pre != nil && pre.AddPrefixSpace != nil {
		if on, err := s.bool("add_prefix_space", *pre.AddPrefixSpace); err == nil && on != *pre.AddPrefixSpace {
			notes = append(notes, fmt.Sprintf("%s: add_prefix_space is %v, but tokenizer.json says otherwise and counts, as in transformers 5 (4 follows the key)", configName, on))
		}
	}
	return notes
}

// chatTemplates sets the templates: those of files, or else a text or a list of
// named ones. A list without "default" is kept and matters only to who writes messages.
func (s *settings) chatTemplates(t *Tokenizer, files map[string]string) error {
	all := map[string]string{}
	if v := s.get("chat_template"); v != nil && len(files) == 0 {
		var text string
		var list []struct{ Name, Template string }
		if json.Unmarshal(v.value, &text) == nil {
			all["default"] = text
		} else if json.Unmarshal(v.value, &list) == nil {
			for _, one := range list {
				all[one.Name] = one.Template
			}
		} else {
			return v.bad("must be a text or a list of {\"name\": .., \"template\": ..}")
		}
	}
	maps.Copy(all, files)
	t.cfg.ChatTemplate = all["default"]
	if delete(all, "default"); len(all) > 0 {
		t.cfg.Templates = all
	}
	return nil
}
