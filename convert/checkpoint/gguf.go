package checkpoint

import (
	"fmt"
	"path/filepath"
	"strings"

	"qpt/convert/gguf"
	"qpt/convert/hf"
	"qpt/runtime/lm/tokenizer"
)

// ggufOf is the GGUF file that path is, or that a folder without safetensors files has; "" if there is none.
func ggufOf(path string) (string, error) {
	if gguf.Is(path) {
		return path, nil
	}
	if list, _ := filepath.Glob(filepath.Join(path, "*.safetensors*")); len(list) > 0 {
		return "", nil
	}
	list, err := filepath.Glob(filepath.Join(path, "*.gguf"))
	if err != nil {
		return "", err
	}
	var models []string
	for _, name := range list {
		base := filepath.Base(name)
		if first := strings.Contains(base, "-00001-of-"); !strings.Contains(base, "mmproj") && (first || !strings.Contains(base, "-of-0")) {
			models = append(models, name)
		}
	}
	switch len(models) {
	case 0:
		return strings.Join(list[:min(1, len(list))], ""), nil // an error will say what it is
	case 1:
		return models[0], nil
	}
	return "", fmt.Errorf("%w: %s has %d GGUF files: give one of them, such as %s", ErrInput, path, len(models), models[0])
}

// openGGUF opens a model file of llama.cpp, which has all in it.
func (f *Folder) openGGUF(path string) error {
	g, err := gguf.Open(path)
	if err != nil {
		return err
	}
	f.Tensors, f.Dir, f.gguf = g.Tensors, filepath.Dir(path), true
	f.Notes = append(f.Notes, g.Notes...)
	if f.Model, err = hf.ParsePooled(g.Config, g.Pool); err != nil {
		return fmt.Errorf("%s: its keys, as config.json: %w", path, err)
	}
	f.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	f.Model.Name = f.Name
	if f.Ignored, err = f.Model.Fit(tensors{f.Tensors}); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	f.Notes = append(f.Notes, f.Model.Notes...)
	f.side = map[string][]byte{"config.json": g.Config}
	if g.Tokenizer == nil {
		return nil
	}
	f.side["tokenizer.json"], f.side["tokenizer_config.json"] = g.Tokenizer.Tokenizer, g.Tokenizer.Config
	for name, text := range g.Tokenizer.Templates {
		if name == "default" {
			f.side["chat_template.jinja"] = []byte(text)
		}
	}
	t, notes, err := tokenizer.ParseFiles(*g.Tokenizer)
	if err != nil {
		return fmt.Errorf("%s: its tokenizer, as tokenizer.json: %w", path, err)
	}
	f.Tokenizer = t
	f.Notes = append(f.Notes, notes...)
	return nil
}

// Stored tells whether the checkpoint is of a kind that is kept as it is unless told otherwise: another tool quantized it, or it is a GGUF file.
func (f *Folder) Stored() bool {
	if f.gguf {
		return true
	}
	for _, name := range f.Tensors.Names() {
		if t, _ := f.Tensors.Tensor(name); t.Codes != nil || t.Scale != nil || t.Natural {
			return true
		}
	}
	return false
}
