package checkpoint

import (
	"path/filepath"
	"slices"
	"strings"

	"qpt/convert/quantized"
)

// quantized joins the tensors of quantized modules, if the folder says that there are some: in config.json, or
// where weights of GPTQ, AWQ or ModelOpt lie in a file of its own, as their tools wrote before transformers knew them.
func (f *Folder) quantized() error {
	where, config := "config.json: "+f.Model.QuantizationKey, f.Model.Quantization
	has := func(suffix string) bool {
		return slices.ContainsFunc(f.plain.Names(), func(name string) bool { return strings.HasSuffix(name, suffix) })
	}
	var files []string
	switch {
	case config != nil:
	case has(".qweight"):
		files = []string{"quantize_config.json", "quant_config.json"}
	case has(".weight_scale"):
		files = []string{"hf_quant_config.json"}
	}
	for _, name := range files {
		data, err := f.read(name, 1<<20)
		if err != nil {
			return err
		}
		if data != nil {
			where, config = name, data
			break
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
