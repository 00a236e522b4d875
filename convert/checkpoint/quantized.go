package checkpoint

import (
	"path/filepath"
	"slices"
	"strings"

	"qpt/convert/quantized"
	"qpt/convert/stored"
)

// quantized joins the tensors of quantized modules, if the folder says that there are some: in config.json, or
// where weights of GPTQ, AWQ or ModelOpt lie in a file of its own, as their tools wrote before transformers knew them.
func (f *Folder) quantized() error {
	where, config := "config.json: "+f.Model.QuantizationKey, f.Model.Quantization
	has := func(suffix string) bool {
		return slices.ContainsFunc(f.plain.Names(), func(name string) bool { return strings.HasSuffix(name, suffix) })
	}
	if qmap, err := f.read("quanto_qmap.json", 16<<20); err != nil || qmap != nil {
		if err != nil {
			return err
		}
		return f.join(quantized.OpenQuanto(filepath.Join(f.Dir, "quanto_qmap.json"), qmap, f.plain, func(name string) []int {
			for _, p := range f.Model.Graph.Params {
				if p.Name == name {
					return p.Shape
				}
			}
			return nil
		}))
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
	return f.join(quantized.Open(filepath.Join(f.Dir, where), config, f.plain))
}

// join takes over tensors that are put together from those of the files.
func (f *Folder) join(tensors *stored.Checkpoint, notes []string, err error) error {
	if err != nil {
		return err
	}
	f.Tensors, f.Notes = tensors, append(f.Notes, notes...)
	return nil
}
