package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"qpt/internal/strictjson"
)

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
	clean_up_tokenization_spaces extra_ids do_lower_case strip_accents tokenize_chinese_chars keep_accents split_by_punct
`)

// inertKeys have no effect on the ids of a text, its text again or the chat template.
var inertKeys = strings.Fields(`
	spaces_between_special_tokens model_max_length max_length max_len stride truncation_strategy truncation_side
	padding_side padding pad_to_multiple_of pad_token_type_id model_input_names return_token_type_ids return_tensors
	processor_class image_processor_type feature_extractor_type use_default_system_prompt sp_model_kwargs
	name_or_path special_tokens_map_file tokenizer_file vocab_file merges_file files_loaded backend is_local local_files_only trust_remote_code
	use_fast from_slow slow_tokenizer_class tokenizer_type errors trim_offsets verbose vocab_size device_map revision torch_dtype dtype
	response_schema response_template chat_control_tokens fix_mistral_regex never_split do_basic_tokenize wordpieces_prefix vocab_type remove_space
	transformers_version unsloth_version unsloth_fixed
`)

// inertAt are keys without an effect at one value only.
var inertAt = map[string]string{
	"init_inputs": "[]",
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
