package quantized

import (
	"maps"
	"slices"
	"strings"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openModelOpt reads what NVIDIA's ModelOpt exports. Its config is quantization_config of config.json, or hf_quant_config.json beside it; what a module is its tensors say:
//
//	weight F8_E4M3 [N, K], weight_scale one number or [N]                            value e4m3 * scale
//	weight U8 [N, K/2], weight_scale F8_E4M3 [N, K/16], weight_scale_2 one number    fp4 * (scale * weight_scale_2), the first number in the low bits
//	weight F8_E4M3 [N, K], weight_scale [N/128, 1, K/128, 1]                         e4m3 * scale (FP8_PB_WO)
//	weight F8_E4M3 [N, K] or U8 [N, K/2], weight_scale U8 [N, K/32]                  float * 2^(x-127) (MXFP8, MXFP4)
//
// input_scale is that of inputs, which NVFP4 rounds once more by 16 while running.
func openModelOpt(o *opener) error {
	c := o.config
	part := c
	if c.has("quantization") { // of hf_quant_config.json
		part = c.object("quantization")
	}
	c.inert("producer quant_method quant_library config_groups") // the latter says of all what each module's tensors do
	part.inert("exclude_modules ignore has_zero_point pre_quant_scale group_size")
	part.off("keys and values in fewer bits are not read; take the key out of the file to keep them in 16", "kv_cache_scheme", "kv_cache_quant_algo")
	algo := part.string("quant_algo", "")
	algos := map[string]string{"": algo} // by module
	if layers := part.object("quantized_layers"); layers.keys != nil {
		for _, name := range slices.Sorted(maps.Keys(layers.keys)) {
			l := layers.object(name)
			algos[name] = l.string("quant_algo", algo)
			l.inert("group_size has_zero_point pre_quant_scale")
			l.finish()
			part.join(l)
		}
	}
	if part != c {
		part.finish()
		c.join(part)
	}
	for _, name := range o.modules(".weight_scale") {
		m := o.module(name)
		if algo := algos[name]; algo != "" {
			m.modelOpt(algo)
		} else {
			m.modelOpt(algos[""])
		}
		if c.err != nil {
			return c.err
		}
		if m.err != nil {
			return m.err
		}
	}
	return c.err
}

// modelOpt reads one module.
func (m *module) modelOpt(algo string) {
	s := &scheme{strategy: "tensor"}
	switch algo = strings.ToUpper(algo); algo {
	case "FP8":
		if m.has(".input_scale") {
			s.acts = stored.FP8Static
		}
		m.inputs(s)
		m.fp8(s, ".weight_scale")
	case "FP8_PER_CHANNEL_PER_TOKEN":
		s.acts = stored.FP8PerToken
		m.inputs(s)
		m.fp8(s, ".weight_scale")
	case "NVFP4", "W4A16_NVFP4":
		if m.has(".pre_quant_scale") {
			m.unsupported("it multiplies its inputs (pre_quant_scale), which is not read: export with the scales folded into the layers before")
		}
		if m.has(".input_scale") {
			s.acts = stored.FP4PerGroup
		}
		m.inputs(s)
		m.nvfp4(s, ".weight", ".weight_scale_2", fp4NoMinus, func(scale, all float32) float32 { return scale * all })
	case "MXFP8":
		s.acts, s.strategy, s.group = stored.MXPerGroup(8), "group", 32
		m.inputs(s)
		m.fp8(s, ".weight_scale")
	case "MXFP4", "W4A8_MXFP4_FP8":
		if m.has(".input_scale") {
			s.acts = stored.FP8Static
		}
		m.inputs(s)
		m.mx(s, ".weight", 4, fp4)
	case "FP8_PB_WO":
		s.strategy, s.block = "block", []int{128, 128}
		m.fp8(s, ".weight_scale")
	default:
		m.unsupported("quant_algo %.40q; read are FP8, FP8_PER_CHANNEL_PER_TOKEN, FP8_PB_WO, NVFP4, W4A16_NVFP4, MXFP4, W4A8_MXFP4_FP8 and MXFP8: export the model in one of these", algo)
	}
}

// fp4NoMinus is fp4 as ModelOpt has it: code 8 is 0, not -0.
var fp4NoMinus = append(append(slices.Clone(fp4[:8]), 0), fp4[9:]...)

// nvfp4 reads FP4 (E2M1) under e4m3 scales of 16 numbers, which a number for all scales once more.
func (m *module) nvfp4(s *scheme, weight, global string, table []float32, scaled func(scale, all float32) float32) {
	w := m.tensor(weight, 2, safetensors.U8)
	scale := m.tensor(".weight_scale", 2, safetensors.F8E4M3)
	all := m.positive(global)
	if m.err != nil {
		return
	}
	m.floats(&stored.Codes{Bits: 4, Table: table, Group: 16, Acts: s.acts}, w, scale, "nvfp4", func(r0, r1 int, dst []float32) error {
		p, err := rows(scale, r0, r1)
		for i, c := range p {
			dst[i] = scaled(e4m3[c], all)
		}
		return err
	})
}

// positive is the number of a tensor that has one, F32 and above 0.
func (m *module) positive(suffix string) float32 {
	t := m.tensor(suffix, -1, safetensors.F32)
	if m.err != nil {
		return 0
	}
	v, err := numbers(t)
	if err != nil || len(v) != 1 || !(v[0] > 0) || v[0]-v[0] != 0 {
		m.fail("%s is %v, must be one positive number", suffix[1:], v)
		return 0
	}
	return v[0]
}
