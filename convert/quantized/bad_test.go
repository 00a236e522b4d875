package quantized

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// bag is the tensors of a file, to be changed.
type bag map[string]part

type part struct {
	dtype safetensors.DType
	shape []int
	data  []byte
}

func take(t testing.TB, name string) (b bag, meta map[string]string) {
	c, err := safetensors.Open("testdata/modules/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b = bag{}
	for _, n := range c.Names() {
		x, _ := c.Tensor(n)
		data, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		b[n] = part{x.DType, x.Shape, slices.Clone(data)}
	}
	return b, c.Metadata()
}

// is is the name of the tensor that ends so.
func (b bag) is(t *testing.T, suffix string) string {
	for name := range b {
		if strings.HasSuffix(name, "k_proj"+suffix) || strings.HasSuffix(name, "experts.down_proj"+suffix) {
			return name
		}
	}
	t.Fatalf("no tensor %s", suffix)
	return ""
}

// open writes the tensors and opens them, and reads all rows of every matrix.
func (b bag) open(t testing.TB, config string, meta map[string]string) error {
	if slices.ContainsFunc(slices.Collect(maps.Values(b)), func(p part) bool { return p.dtype == safetensors.F8E4M3 }) {
		t.Fatal("package nlp writes no FP8")
	}
	dir := t.TempDir()
	if err := b.write(dir, meta); err != nil {
		t.Fatal(err)
	}
	return openAll(filepath.Join(dir, "model.safetensors"), config)
}

// write writes the tensors as dir/model.safetensors.
func (b bag) write(dir string, meta map[string]string) error {
	var specs []safetensors.Spec
	for _, name := range slices.Sorted(maps.Keys(b)) {
		specs = append(specs, safetensors.Spec{Name: name, DType: b[name].dtype, Shape: b[name].shape})
	}
	return safetensors.WriteSharded(dir, 1, specs, meta, func(s safetensors.Spec, w io.Writer) error { _, err := w.Write(b[s.Name].data); return err })
}

func openAll(path, config string) error {
	from, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	c, _, err := Open("config", []byte(config), from)
	if err != nil {
		from.Close()
		return err
	}
	defer c.Close()
	for _, name := range c.Names() {
		if x, _ := c.Tensor(name); x.Plain == nil {
			if err := x.ReadPart(0, make([]float32, x.Values())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b bag) set(t *testing.T, suffix string, change func(p *part)) {
	name := b.is(t, suffix)
	p := b[name]
	change(&p)
	b[name] = p
}

// TestCacheScales: numbers for keys and values in few bits are passed over, with a note.
func TestCacheScales(t *testing.T) {
	b, meta := take(t, "gptq-4b-g32-sym")
	b["model.layers.0.self_attn.k_scale"] = part{safetensors.F32, []int{1}, make([]byte, 4)}
	dir := t.TempDir()
	if err := b.write(dir, meta); err != nil {
		t.Fatal(err)
	}
	from, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	c, notes, err := Open("config", modules(t)["gptq-4b-g32-sym"].Config, from)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.Tensor("model.layers.0.self_attn.k_scale"); ok || len(notes) != 1 || !strings.Contains(notes[0], "1 scales of keys and values have no effect") {
		t.Errorf("k_scale is there: %v, notes %q", ok, notes)
	}
}

// TestBad: what is wrong with tensors and configs has an error that says where.
func TestBad(t *testing.T) {
	f16 := func(h uint16) func(p *part) {
		return func(p *part) { binary.LittleEndian.PutUint16(p.data[2:], h) }
	}
	shape := func(s ...int) func(p *part) { return func(p *part) { p.shape = s } }
	all := modules(t)
	for _, c := range []struct {
		from, suffix string
		change       func(p *part) // nil: the tensor is left out
		keys         map[string]string
		kind         error
		want         string
	}{
		{"gptq-4b-g32-sym", ".qzeros", nil, nil, ErrInput, `gptq, module "model.layers.0.self_attn.k_proj": qzeros is missing`},
		{"gptq-4b-g32-sym", ".scales", f16(0x7e00), nil, stored.ErrCodes, "the scale of row 1, group 0 is NaN"},
		{"gptq-4b-g32-sym", ".scales", f16(0x7c00), nil, stored.ErrCodes, "the scale of row 1, group 0 is +Inf"},
		{"gptq-4b-g32-sym", ".scales", f16(0), nil, ErrInput, "the scale of row 1, group 0 is 0, but its codes are not"},
		{"gptq-4b-g32-sym", ".qweight", func(p *part) { p.dtype = safetensors.F32 }, nil, ErrInput, "qweight is F32, must be [I32]"},
		{"gptq-4b-g32-sym", ".qweight", shape(8, 48), nil, ErrInput, "scales has 3 groups, 64 inputs in groups of 32 are 2"},
		{"gptq-4b-g32-sym", ".qweight", shape(384), nil, ErrInput, "qweight has shape [384], must have 2 dimensions"},
		{"gptq-4b-g32-sym", ".qzeros", shape(4, 3), nil, ErrInput, "qzeros has shape [4 3], must be [3 4]"},
		{"gptq-4b-g32-sym", ".g_idx", shape(2, 48), nil, ErrInput, "g_idx has shape [2 48], must have 1 dimensions"},
		{"gptq-4b-g32-descact", ".g_idx", func(p *part) { p.data[0] = 3 }, nil, ErrInput, "g_idx: input 0 is in group 3, there are 3"},
		{"gptq-4b-g32-descact", ".g_idx", func(p *part) { p.data[0] = (p.data[0] + 1) % 3 }, nil, ErrUnsupported, "inputs, must have 32"},
		{"gptq-4b-g32-descact", ".g_idx", nil, nil, ErrInput, "desc_act is true, but g_idx, the group of each input, is missing"},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"bits": "5"}, ErrUnsupported, "5 bits; 2, 3, 4 and 8 are read"},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"bits": "8"}, ErrInput, "3 groups, 48 inputs in groups of 32 are 2"},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"group_size": "0"}, ErrInput, "groups of 0 inputs"},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"bits": `"4"`}, ErrInput, `bits: "4" is not an integer`},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"checkpoint_format": `"marlin"`}, ErrUnsupported, `checkpoint_format: "marlin"; gptq and gptq_v2 are read`},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"is_marlin_format": "true"}, ErrUnsupported, "weights tiled for a GPU"},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"unheard_of": "1"}, ErrUnsupported, "unheard_of: unknown key"},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"dynamic": `{"-:.*k_proj":{}}`}, ErrInput, "the config says that it is not quantized, but it has qweight"},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"dynamic": `{"+:(":{}}`}, ErrInput, `dynamic: "(" is no regular expression`},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"quant_method": `"aqlm"`}, ErrUnsupported, `quant_method: "aqlm" is not read (its codes stand for vectors of several weights); known: gptq, awq`},
		{"gptq-4b-g32-sym", "", nil, map[string]string{"quant_method": `"fp8"`, "fmt": `"e4m3"`}, ErrUnsupported, "unknown key"},
		{"awq-gemm-g32", "", nil, map[string]string{"version": `"gemv_fast"`}, ErrUnsupported, `version: "gemv_fast"; gemm and gemv are read`},
		{"awq-gemm-g32", "", nil, map[string]string{"bits": "3"}, ErrUnsupported, "bits: 3; AWQ of 4 bits is read"},
		{"awq-gemm-g32", "", nil, map[string]string{"group_size": "48"}, ErrInput, "groups of 48 do not divide 128 inputs"},
		{"awq-gemm-g32", "", nil, map[string]string{"version": `"gemv"`}, ErrInput, "has shape"},
		{"awq-gemm-g32", "", nil, map[string]string{"backend": `"llm-awq"`}, ErrUnsupported, `backend: "llm-awq"`},
		{"ct-w4a16-g32-asym", ".weight_shape", func(p *part) { p.data[7] = 0x40 }, nil, ErrInput, "weight_shape is"},
		{"ct-w4a16-g32-asym", ".weight_shape", func(p *part) { p.data[8] = 200 }, nil, ErrInput, "a row of that needs 25 words"},
		{"ct-w4a16-g32-asym", ".weight_zero_point", shape(3, 4), nil, ErrInput, "weight_zero_point has shape [3 4], must be [4 3]"},
		{"ct-w4a16-g32-asym", "", nil, map[string]string{"ignore": `["re:.*k_proj"]`}, ErrInput, "the config ignores it, but it has quantized tensors"},
		{"ct-w4a16-g32-asym", "", nil, map[string]string{"kv_cache_scheme": `{"num_bits":8,"type":"float"}`}, ErrUnsupported, "kv_cache_scheme"},
		{"ct-w4a16-g32-asym", "", nil, map[string]string{"sparsity_config": `{"format":"sparse-24-bitmask"}`}, ErrUnsupported, "sparsity_config"},
		{"ct-w4a16-g32-asym", "", nil, map[string]string{"config_groups": `{"g":{"targets":["Linear"],"format":"marlin-24","weights":{"num_bits":4}}}`}, ErrUnsupported, `format "marlin-24"`},
		{"ct-w4a16-g32-asym", "", nil, map[string]string{"config_groups": `{"g":{"targets":["x"],"weights":{"num_bits":4}}}`}, ErrInput, "no target of config_groups is its name or Linear"},
		{"ct-w4a16-g32-asym", "", nil, map[string]string{"config_groups": `{"g":{"targets":["Linear"],"weights":{"num_bits":0}}}`}, ErrUnsupported, "weights of 0 bits"},
		{"ct-w4a16-g32-asym", "", nil, map[string]string{"config_groups": `{"g":{"targets":["Linear"],"weights":{"num_bits":4},"input_activations":{"num_bits":6}}}`}, ErrUnsupported, "input_activations: int of 6 bits"},
		{"ct-w4a8-g32", ".weight", func(p *part) { p.data[3] = 100 }, nil, ErrInput, "100 in row 0 is no integer of 4 bits, as the config says"},
		{"ao-8da4w-g32", "._weight_qdata", func(p *part) { p.data[3] = 0x80 }, nil, ErrInput, "-128 in row 0 is no integer of 4 bits, as the config says"},
		{"ct-w8a8-dyn", ".weight_scale", shape(8, 4), nil, ErrInput, "weight_scale has shape [8 4], must be [32 1]"},
		{"ct-mxfp4", ".weight_scale", func(p *part) { p.data[0] = 255 }, nil, stored.ErrCodes, "the scale of row 0, group 0 is NaN"},
		{"mxfp4-gpt-oss", "_scales", nil, nil, ErrInput, "scales is missing"},
		{"mxfp4-gpt-oss", "_blocks", shape(4, 64, 6, 8), nil, ErrInput, "blocks has shape [4 64 6 8], must be [4 64 6 16]"},
		{"bnb-nf4", ".weight.quant_state.bitsandbytes__nf4", func(p *part) { p.data[0] = 'x' }, nil, ErrInput, "quant_state: json"},
		{"bnb-nf4", ".weight.quant_state.bitsandbytes__nf4", nil, nil, ErrUnsupported, "has no quant_state beside it"},
		{"bnb-nf4", ".weight.quant_map", func(p *part) { binary.LittleEndian.PutUint32(p.data, math.Float32bits(float32(math.NaN()))) }, nil, ErrInput, "quant_map: value 0 is NaN"},
		{"bnb-nf4", ".weight.absmax", func(p *part) { p.shape, p.data = []int{1}, p.data[:4] }, nil, ErrInput, "weight.absmax has shape [1], must be [48]"},
		{"bnb-int8", ".weight_format", func(p *part) { p.data[0] = 1 }, nil, ErrUnsupported, "weight_format [1]: tiled for a GPU"},
		{"ao-int8-wo", "._weight_scale", shape(1, 32), nil, ErrInput, "_weight_scale has shape [1 32], must be [32 1]"},
		{"mlx-4b-g64", "", nil, map[string]string{"bits": "7"}, ErrInput, "7 bits in rows of 16 words"},
		{"mlx-4b-g64", "", nil, map[string]string{"mode": `"mxfp6"`}, ErrUnsupported, `mode "mxfp6"`},
		{"mlx-4b-g64", ".biases", nil, nil, ErrInput, "biases is missing"},
		{"mlx-4b-g64", "", nil, map[string]string{"model.layers.0.self_attn.k_proj": "false"}, ErrInput, "the config says that it is not quantized, but it has scales"},
		{"hqq-4b-g64", ".nbits", func(p *part) { p.data[0] = 7 }, nil, ErrUnsupported, "7 bits in U8"},
		{"hqq-4b-g64", ".group_size", func(p *part) { p.data[0] = 0 }, nil, ErrInput, "groups of 0 do not divide"},
		{"hqq-4b-g64", ".shape", func(p *part) { p.data[0] = 64 }, nil, ErrInput, "W_q has shape"},
		{"hqq-4b-g64", ".scale", f16(0x7e00), nil, stored.ErrCodes, "is NaN"},
		{"modelopt-nvfp4", "", nil, map[string]string{"quant_algo": `"W4A16_AWQ"`}, ErrUnsupported, `quant_algo "W4A16_AWQ"; read are FP8`},
		{"modelopt-nvfp4", "", nil, map[string]string{"quantized_layers": `{"model.layers.0.self_attn.k_proj":{"quant_algo":"FP8"}}`}, ErrInput, "weight is U8, must be [F8_E4M3]"},
		{"modelopt-fp8", "", nil, map[string]string{"kv_cache_scheme": `{"num_bits":8,"type":"float"}`}, ErrUnsupported, "kv_cache_scheme"},
		{"modelopt-fp8-rows", "", nil, map[string]string{"quantization": `{"quant_algo":"FP8_PER_CHANNEL_PER_TOKEN","unheard_of":1}`}, ErrUnsupported, "unheard_of: unknown key"},
	} {
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(all[c.from].Config, &keys); err != nil {
			t.Fatal(err)
		}
		for k, v := range c.keys {
			keys[k] = json.RawMessage(v)
		}
		config, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		if c.suffix == "" {
			err = openAll("testdata/modules/"+c.from+".safetensors", string(config))
		} else {
			b, meta := take(t, c.from)
			if c.change == nil {
				delete(b, b.is(t, c.suffix))
			} else {
				b.set(t, c.suffix, c.change)
			}
			err = b.open(t, string(config), meta)
		}
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s %v:\n%v, want\n%s", c.from, c.suffix, c.keys, err, c.want)
		}
	}
}

// TestTorn: a file that is cut while it is open ends in an error.
func TestTorn(t *testing.T) {
	all := modules(t)
	for name, m := range all {
		data, err := os.ReadFile("testdata/modules/" + name + ".safetensors")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		from, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.open(name, from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 8+int64(binary.LittleEndian.Uint64(data))); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.Names() {
			if x, _ := c.Tensor(name); x.Plain == nil {
				if err := x.ReadPart(0, make([]float32, x.Values())); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		c.Close()
	}
}
