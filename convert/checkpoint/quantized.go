package checkpoint

import (
	"path/filepath"
	"slices"
	"strings"

	"qpt/convert/quantized"
)

// quantized joins the tensors of quantized modules, if the folder says that there are some: in config.json, or
// where weights of GPTQ or AWQ lie in a file of its own, as their tools wrote before transformers knew them.
func (f *Folder) quantized() error {
	where, config := "config.json: "+f.Model.QuantizationKey, f.Model.Quantization
	if config == nil && slices.ContainsFunc(f.plain.Names(), func(name string) bool { return strings.HasSuffix(name, ".qweight") }) {
		for _, name := range []string{"quantize_config.json", "quant_config.json"} {
			data, err := f.read(name, 1<<20)
			if err != nil {
				return err
			}
			if data != nil {
				where, config = name, data
				break
			}
		}
	}
	if config == nil {
		return nil
	}
	tensors, notes, err := quantized.Open(filepath.Join(f.Dir, where), config, f.plain)
	if err != nil {
		return err
	}
	f.Tensors, f.Notes = tensors, append(f.Notes, notes...)
	return nil
}
