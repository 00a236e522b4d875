package quantized

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert/safetensors"
)

// TestSpellings: one checkpoint said otherwise has the same values.
func TestSpellings(t *testing.T) {
	const ct = "ct-w4a16-g32-sym"
	group := func(bits int, targets, more string) string {
		return fmt.Sprintf(`{"targets":[%s],"weights":{"num_bits":%d,"group_size":32%s}}`, targets, bits, more)
	}
	groups := func(a, b string) map[string]string {
		return map[string]string{"config_groups": `{"a":` + a + `,"b":` + b + `}`}
	}
	for label, c := range map[string]struct {
		from   string
		keys   map[string]string
		change func(b bag)
	}{
		"a name before a pattern":        {ct, groups(group(8, `"re:.*"`, ""), group(4, `"model.layers.0.self_attn.k_proj"`, "")), nil},
		"a pattern before a class":       {ct, groups(group(8, `"Linear"`, ""), group(4, `"re:.*k_proj"`, "")), nil},
		"patterns by their letters":      {ct, groups(group(8, `"re:.*p"`, ""), group(4, `"re:.*_proj"`, "")), nil},
		"of two groups the last":         {ct, groups(group(8, `"Linear"`, ""), group(4, `"Linear"`, "")), nil},
		"Module is the class of all":     {ct, groups(group(4, `"Module"`, ""), group(8, `"Conv2d"`, "")), nil},
		"capitals":                       {ct, groups(group(4, `"Linear"`, `,"strategy":"GROUP","type":"INT"`), group(8, `"Conv2d"`, "")), nil},
		"storage of bitsandbytes as F32": {"bnb-nf4", map[string]string{"bnb_4bit_quant_storage": `"float32"`}, func(b bag) { storeAs(b, safetensors.F32) }},
		"intel/auto-round":               {"gptq-4b-g32-sym", map[string]string{"quant_method": `"intel/auto-round"`, "packing_format": `"auto_round:auto_gptq"`, "checkpoint_format": "null", "meta": "null", "method": "null", "format": "null", "pack_dtype": "null"}, nil},
		"GPTQ by AutoRound":              {"gptq-4b-g32-sym", map[string]string{"provider": `"auto-round"`, "iters": "200", "act_bits": "16", "supported_types": `["Linear"]`, "static_kv_dtype": "null"}, nil},
		"AWQ by AutoRound":               {"awq-gemm-g32", map[string]string{"provider": `"auto-round"`, "data_type": `"int"`, "seqlen": "2048"}, nil},
		"storage as BF16":                {"bnb-nf4-dq", map[string]string{"bnb_4bit_quant_storage": `"bfloat16"`}, func(b bag) { storeAs(b, safetensors.BF16) }},
	} {
		m := modules(t)[c.from]
		b, meta := take(t, c.from)
		if c.change != nil {
			c.change(b)
		}
		dir := t.TempDir()
		if err := b.write(dir, meta); err != nil {
			t.Fatal(err)
		}
		from, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(m.Config, &keys); err != nil {
			t.Fatal(err)
		}
		for k, v := range c.keys {
			keys[k] = json.RawMessage(v)
		}
		config, err := json.Marshal(keys)
		if err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		x, _, err := Open(label, config, from)
		if err != nil {
			t.Errorf("%s: %v", label, err)
			continue
		}
		for name, w := range m.Weights {
			compare(t, x, name, w.Shape, w.SHA256)
		}
		x.Close()
	}
}

// storeAs calls the bytes of 4-bit weights another dtype.
func storeAs(b bag, d safetensors.DType) {
	for name := range maps.Clone(b) {
		if _, ok := b[name+".absmax"]; ok {
			b[name] = part{d, []int{len(b[name].data) * 8 / d.Bits(), 1}, b[name].data}
		}
	}
}

// TestTorchAOClasses: classes whose order is a kernel's, and such as change inputs, are refused by name.
func TestTorchAOClasses(t *testing.T) {
	for change, want := range map[string]string{
		`"Int4Tensor" "Int4TilePackedTo4dTensor"`: "Int4TilePackedTo4dTensor is in an order for one kernel",
		`"Int4Tensor" "Float9Tensor"`:             `"Float9Tensor" of torchao is not read`,
		`[1, 32] [4, 32]`:                         "blocks of [4 32]",
		`"bfloat16" "float5"`:                     `activation_dtype "float5" is not known`,
		`"Int4Tensor" "NVFP4Tensor"`:              "NVFP4Tensor in blocks of [1, 32]; 16 is read",
		`"Int4Tensor" "MXTensor"`:                 `MXTensor of ""`,
		"":                                        "act_pre_scale",
	} {
		b, meta := take(t, "ao-int4")
		for name, text := range meta {
			if old, now, ok := strings.Cut(change, "\" \""); ok {
				meta[name] = strings.ReplaceAll(text, old+`"`, `"`+now)
			} else if old, now, ok := strings.Cut(change, "] ["); ok {
				meta[name] = strings.ReplaceAll(text, old+"]", "["+now)
			}
		}
		if change == "" {
			b["model.layers.0.self_attn.k_proj._weight_act_pre_scale"] = part{safetensors.F32, []int{1}, make([]byte, 4)}
		}
		if err := b.open(t, string(modules(t)["ao-int4"].Config), meta); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", change, err, want)
		}
	}
}

// TestQuanto: what is wrong with a map of optimum-quanto's modules, or does not fit its tensors.
func TestQuanto(t *testing.T) {
	for _, c := range []struct {
		from, qmap string
		shape      []int
		kind       error
		want       string
	}{
		{"quanto-int4", `{"self_attn.k_proj":{"weights":"qint4","activations":"qint8"}}`, nil, ErrUnsupported, `self_attn.k_proj: unsupported quantization: activations: "qint8"`},
		{"quanto-int4", `{"self_attn.k_proj":{"weights":"qint3"}}`, nil, ErrUnsupported, `"qint3"; qint2, qint4`},
		{"quanto-int4", `{"self_attn.k_proj":{"weights":"qint4","axis":1}}`, nil, ErrUnsupported, "axis: unknown key"},
		{"quanto-int4", `{"self_attn.k_proj":{"weights":"qint4"}}`, nil, ErrInput, "the config describes no matrix of that name"},
		{"quanto-int4", `{"self_attn.k_proj":{"weights":"qint4"}}`, []int{15, 100}, ErrInput, "_data._data has shape [8 96], which does not fit [15 100]"},
		{"quanto-int4", `{"self_attn.k_proj":{"weights":"qint4"}}`, []int{17, 96}, ErrInput, "_data._data has shape [8 96], must be [9 96]"},
		{"quanto-int4", `{"self_attn.k_proj":{"weights":"qint2"}}`, []int{16, 96}, ErrInput, "_data._data has shape [8 96], must be [4 96]"},
		{"quanto-int8", `{"self_attn.k_proj":{"weights":"qint4"}}`, []int{16, 96}, ErrInput, "_data._data is missing"},
		{"quanto-int8", `{}`, nil, ErrInput, "it says quanto, but no tensor is quantized so"},
		{"quanto-int8", `[]`, nil, ErrInput, "must be a json object"},
	} {
		from, err := safetensors.Open("testdata/modules/" + c.from + ".safetensors")
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = OpenQuanto("quanto_qmap.json", []byte(c.qmap), from, func(string) []int { return c.shape })
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.from, c.qmap, err, c.want)
		}
		from.Close()
	}
}
