package checkpoint

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

// Side are the files that belong beside the weights as plain numbers, by name: config.json, the tokenizer's.
func (f *Folder) Side() (map[string][]byte, error) {
	if f.side != nil {
		return maps.Clone(f.side), nil
	}
	side := map[string][]byte{}
	for _, name := range []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"} {
		if !exists(filepath.Join(f.Dir, name)) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(f.Dir, name))
		if err != nil {
			return nil, err
		}
		if name == "config.json" && f.Model.Quantization != nil {
			if data, err = plainConfig(data); err != nil {
				return nil, fmt.Errorf("%s: %w", filepath.Join(f.Dir, name), err)
			}
		}
		side[name] = data
	}
	return side, nil
}

// plainConfig is a config.json without what it says of quantization.
func plainConfig(data []byte) ([]byte, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	for _, key := range []string{"quantization_config", "compression_config", "quantization"} {
		delete(keys, key)
	}
	return json.MarshalIndent(keys, "", "  ")
}
