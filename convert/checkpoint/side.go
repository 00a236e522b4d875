package checkpoint

import (
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
	if f.Stored() {
		return nil, fmt.Errorf("%w: %s: its config.json says how it is quantized, and would have to be written anew: only GGUF files are unpacked", ErrInput, f.Dir)
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
		side[name] = data
	}
	return side, nil
}
