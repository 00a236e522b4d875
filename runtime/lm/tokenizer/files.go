package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
	// ModelType is model_type of config.json, which counts where there is no class.
	ModelType string
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
	if file.Padding != nil && s.given("pad_token") == nil && c.tokens["pad_token"] == "" {
		c.tokens = maps.Clone(c.tokens)
		if c.tokens == nil {
			c.tokens = map[string]string{}
		}
		c.tokens["pad_token"] = file.Padding.Token
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
	if t.cfg.SplitSpecial, err = s.bool("split_special_tokens", false); err != nil {
		return nil, nil, err
	}
	clean, err := s.bool("clean_up_tokenization_spaces", false)
	t.cfg.CleanUp = clean && t.cfg.Model != "" // of no effect on BPE
	return t, notes, err
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
