package checkpoint_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert/checkpoint"
	"qpt/convert/hf"
	"qpt/convert/quantized"
	"qpt/convert/safetensors"
	"qpt/convert/safetensors/sttest"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

const whole = "../quantized/testdata/whole"

// logits runs the prompt of a golden file on the FP32 executor and compares.
func logits(t *testing.T, dir, goldens string) (notes string) {
	t.Helper()
	f, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	golden, g := sttest.Open(t, goldens), f.Model.Graph
	out, err := ref.Run(context.Background(), g, graph.Views(g, f.Tensors), ref.Texts(g, ref.Seq{IDs: golden.Ints("prompt.ids")}), ref.Options{Dot: linear.MatMul()})
	if err != nil {
		t.Fatal(err)
	}
	within(t, dir, out[0].F, golden.Values("prompt.logits"))
	return strings.Join(f.Notes, "\n")
}

// TestQuantized: whole checkpoints of several tools, against logits that were computed in float64 from what their codes mean.
func TestQuantized(t *testing.T) {
	dirs, err := filepath.Glob(whole + "/*")
	if err != nil || len(dirs) < 6 {
		t.Fatalf("%d checkpoints: %v", len(dirs), err)
	}
	for _, dir := range dirs {
		logits(t, dir, filepath.Join(dir, "goldens.safetensors"))
	}
}

// TestQuantizedSpellings: where configs of GPTQ may stand, in shards, with biases of zeros and modules left as they are.
func TestQuantizedSpellings(t *testing.T) {
	const from = whole + "/gptq-4b-g32-descact"
	var config map[string]json.RawMessage
	data, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	object := config["quantization_config"]
	plain := `{"bits":4,"group_size":32,"desc_act":true,"sym":true,"model_name_or_path":"x","damp_percent":0.01}`
	for _, c := range []struct {
		name  string
		keys  map[string]string // of config.json in the place of quantization_config
		files map[string]string
		bad   error
		want  string // of the error or the notes
	}{
		{"quantize_config.json", nil, map[string]string{"quantize_config.json": plain}, nil, ""},
		{"quant_config.json", nil, map[string]string{"quant_config.json": plain}, nil, ""},
		{"config.json counts", map[string]string{"quantization_config": string(object)}, map[string]string{"quantize_config.json": `{"bits":3}`}, nil, ""},
		{"compression_config", map[string]string{"compression_config": plain}, nil, nil, ""},
		{"no config", nil, nil, nil, `tells that the checkpoint is quantized by GPTQ or AWQ, but nothing says how`},
		{"mixed bits", map[string]string{"quantization_config": `{"quant_method":"gptq","bits":8,"group_size":128,"sym":true,"dynamic":{"-:.*lm_head":{},"+:.*layers\\.0\\.(?!x)":{"bits":4,"group_size":32}}}`}, nil, nil, ""},
		{"v2 by mistake", map[string]string{"quantization_config": strings.Replace(plain, `{`, `{"quant_method":"gptq","checkpoint_format":"gptq_v2",`, 1)}, nil, nil,
			"checkpoint_format says gptq_v2, but the zeros of this symmetric checkpoint are stored as gptq stores them"},
		{"AutoRound", map[string]string{"quantization_config": `{"quant_method":"auto-round","packing_format":"auto_round:auto_gptq","bits":2,"group_size":128,"sym":true,"data_type":"int",
			"extra_config":{"model.layers.0.self_attn.q_proj":{"bits":4,"group_size":32},"model.layers.0.self_attn.k_proj":{"bits":4,"group_size":32}}}`}, nil, quantized.ErrInput, "mlp.down_proj"},
		{"vectors", map[string]string{"quantization_config": `{"quant_method":"aqlm"}`}, nil, quantized.ErrUnsupported, `"aqlm" is not read (its codes stand for vectors of several weights)`},
		{"another tool", map[string]string{"quantization_config": `{"quant_method":"quip"}`}, nil, quantized.ErrUnsupported, `"quip" is not read`},
		{"nothing is", map[string]string{"quantization_config": `{"quant_method":"fp8"}`}, nil, quantized.ErrInput, "no tensor is quantized so"},
	} {
		dir := t.TempDir()
		keys := map[string]json.RawMessage{}
		for k, v := range config {
			keys[k] = v
		}
		delete(keys, "quantization_config")
		for k, v := range c.keys {
			keys[k] = json.RawMessage(v)
		}
		data, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		write := func(name string, data []byte) {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("config.json", data)
		for name, text := range c.files {
			write(name, []byte(text))
		}
		shards(t, from, dir)
		if c.bad == nil && !strings.Contains(c.want, "nothing says how") {
			if notes := logits(t, dir, filepath.Join(from, "goldens.safetensors")); !strings.Contains(notes, c.want) {
				t.Errorf("%s: notes %q", c.name, notes)
			}
			continue
		}
		f, err := checkpoint.Open(dir)
		if err == nil {
			f.Close()
		}
		if c.bad != nil && !errors.Is(err, c.bad) || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// TestModelOptFile: hf_quant_config.json says how where config.json does not, and counts for nothing where it does.
func TestModelOptFile(t *testing.T) {
	const fp8 = `{"producer":{"name":"modelopt","version":"0.29.0"},"quantization":{"quant_algo":"%s","kv_cache_quant_algo":null,"exclude_modules":["lm_head"]}}`
	from, err := safetensors.Open("../../testdata/stories260K")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	header, data := map[string]any{}, []byte(nil)
	add := func(name, dtype string, shape []int, bytes []byte) {
		header[name] = map[string]any{"dtype": dtype, "shape": shape, "data_offsets": [2]int{len(data), len(data) + len(bytes)}}
		data = append(data, bytes...)
	}
	for _, name := range from.Names() {
		x, _ := from.Tensor(name)
		if strings.HasSuffix(name, "_proj.weight") {
			codes := make([]byte, x.NumElems())
			for i := range codes {
				codes[i] = byte(i % 120)
			}
			add(name, "F8_E4M3", x.Shape, codes)
			add(name+"_scale", "F32", []int{}, []byte{0, 0, 0x40, 0x3f}) // 0.75
			continue
		}
		bytes, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		add(name, x.DType.String(), x.Shape, bytes)
	}
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	weights := append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...), data...)
	for _, c := range []struct {
		name, file, key string
		bad             error
		want            string
	}{
		{"beside", fmt.Sprintf(fp8, "FP8"), "", nil, ""},
		{"config.json counts", fmt.Sprintf(fp8, "NVFP4"), `{"quant_method":"modelopt","quant_algo":"FP8"}`, nil, ""},
		{"integers", fmt.Sprintf(fp8, "W4A8_AWQ"), "", quantized.ErrUnsupported, `quant_algo "W4A8_AWQ"; read are FP8`},
		{"none", "", "", hf.ErrTensors, "weight_scale"},
		{"broken", `{"producer"`, "", quantized.ErrInput, "hf_quant_config.json"},
		{"another producer", `{"producer":{"name":"nobody"}}`, "", quantized.ErrUnsupported, `"nobody" is not read`},
		{"keys and values", strings.Replace(fmt.Sprintf(fp8, "FP8"), "null", `"FP8"`, 1), "", quantized.ErrUnsupported, "kv_cache_quant_algo"},
	} {
		dir := t.TempDir()
		config, err := os.ReadFile("../../testdata/stories260K/config.json")
		if err = errors.Join(err, os.CopyFS(dir, os.DirFS("../../testdata/stories260K")), os.WriteFile(filepath.Join(dir, "model.safetensors"), weights, 0o600)); err != nil {
			t.Fatal(err)
		}
		if c.key != "" {
			config = []byte(strings.Replace(string(config), "{", `{"quantization_config":`+c.key+",", 1))
		}
		err = os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)
		if c.file != "" {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, "hf_quant_config.json"), []byte(c.file), 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
		o, err := checkpoint.Open(dir)
		if c.bad != nil {
			if !errors.Is(err, c.bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %v: %s", c.name, err, c.bad, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		x, ok := o.Tensors.Tensor("model.layers.0.self_attn.q_proj.weight")
		if !ok {
			t.Fatalf("%s: no q_proj", c.name)
		}
		v := make([]float32, x.Values())
		if err := x.ReadPart(0, v); err != nil {
			t.Fatal(err)
		}
		for i, have := range v {
			if want := 0.75 * linear.E4M3(byte(i%120)); have != want {
				t.Fatalf("%s: weight %d is %v, want %v", c.name, i, have, want)
			}
		}
		o.Close()
	}
}

// shards writes the tensors of a checkpoint to dir in three files, with a bias of zeros as AutoGPTQ gives every layer.
func shards(t *testing.T, from, dir string) {
	c, err := safetensors.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	specs := []safetensors.Spec{{Name: "model.layers.0.self_attn.q_proj.bias", DType: safetensors.F16, Shape: []int{96}}}
	for _, name := range c.Names() {
		x, _ := c.Tensor(name)
		specs = append(specs, safetensors.Spec{Name: name, DType: x.DType, Shape: x.Shape})
	}
	if err := safetensors.WriteSharded(dir, 3, specs, nil, func(s safetensors.Spec, w io.Writer) error {
		data := make([]byte, 192)
		if x, ok := c.Tensor(s.Name); ok {
			var err error
			if data, err = x.Bytes(); err != nil {
				return err
			}
		}
		_, err := w.Write(data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
