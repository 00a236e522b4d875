package quantized

import (
	"path"
	"slices"
	"strings"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openQuark reads what AMD's Quark exports as safetensors. Of a module [N, K]:
//
//	fp8_e4m3      weight F8_E4M3 [N, K], weight_scale one number, [N], [N, groups] or one for each block          e4m3 * scale
//	int8          weight I8 [N, K], weight_scale and weight_zero_point one number or [N]                          (code - zero) * scale
//	int4, uint4   in groups: weight I32 [K, N/8], weight_scale [groups, N], weight_zero_point I32 [groups, N/8]: AWQ's order    (code - zero) * scale
//	fp4           in groups of 32: weight U8 [N, K/2], the first number in the low bits, weight_scale U8 [N, K/32]  fp4 * 2^(x-127)
//
// What a module is says layer_quant_config, by patterns of names of which the first that fits counts, else layer_quant_type_config, else global_quant_config.
func openQuark(o *opener) error {
	c := o.config
	c.inert("quant_method quant_mode exclude version quark_version log_severity_level min_kv_scale max_kv_scale")
	c.off("attention in fewer bits is not read; take the key out of the file to leave it in 16", "softmax_quant_spec", "kv_cache_quant_config", "kv_cache_post_rope", "kv_cache_group")
	algos := get[any](c, "algo_config", "", nil)
	list, _ := algos.([]any)
	if list == nil && algos != nil {
		list = []any{algos}
	}
	for _, a := range list {
		settings, _ := a.(map[string]any)
		if name, _ := settings["name"].(string); slices.Contains([]string{"rotation", "quarot", "spinquant"}, strings.ToLower(name)) {
			c.unsupported("algo_config", "%q: inputs may be rotated while running, which is not read: quantize without", name)
		}
	}
	export := c.object("export")
	export.inert("min_kv_scale weight_merge_groups weight_format kv_cache_group")
	reorder := export.string("pack_method", "reorder") != "order"
	if export.finish(); export.keys != nil {
		c.join(export)
	}
	all, byName := c.quarkScheme("global_quant_config"), c.object("layer_quant_config")
	rules := map[string]*quarkScheme{}
	for _, pattern := range entries(c.keys["layer_quant_config"]) {
		rules[pattern] = byName.quarkScheme(pattern)
	}
	byClass := c.object("layer_type_quant_config")
	for _, class := range entries(c.keys["layer_type_quant_config"]) {
		if byClass.read[class] = true; strings.HasSuffix(class, "Linear") {
			all = byClass.quarkScheme(class)
		}
	}
	c.join(byName)
	c.join(byClass)
	for _, name := range o.modules(".weight_scale") {
		s := all
		for _, pattern := range entries(c.keys["layer_quant_config"]) {
			if ok, err := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), name); ok || err != nil {
				s = rules[pattern]
				break
			}
		}
		m := o.module(name)
		if c.err != nil {
			return c.err
		}
		if s == nil {
			m.fail("it has a scale, but the config says that it is not quantized")
			return m.err
		}
		if m.inputs(&s.scheme); m.err == nil {
			m.quark(s, reorder)
		}
		if m.err != nil {
			return m.err
		}
	}
	return c.err
}

// quarkScheme is what Quark's config says of a module.
type quarkScheme struct {
	scheme
	dtype string
	e8m0  bool
}

// quarkScheme reads the settings under key; nil: there are none of weights.
func (c *config) quarkScheme(key string) *quarkScheme {
	g := c.object(key)
	defer func() {
		g.finish()
		c.join(g)
	}()
	g.inert("target_device")
	g.off("outputs and biases in fewer bits are not read; set it to null to leave them in 16 bits", "output_tensors", "bias")
	if !g.has("weight") {
		g.inert("weight")
		g.off("inputs that are rounded before plain weights are not supported", "input_tensors")
		return nil
	}
	w, s := g.object("weight"), &quarkScheme{}
	s.dtype, s.strategy, s.e8m0 = w.string("dtype", ""), strings.TrimPrefix(w.string("qscheme", ""), "per_"), w.string("scale_format", "") == "e8m0"
	s.group, s.block, s.bits = w.int("group_size", 0), get[[]int](w, "block_size", "two integers", nil), 8
	w.off("weights that are quantized while running are not read", "is_dynamic")
	w.inert(quarkInert)
	w.finish()
	g.join(w)
	if g.read["input_tensors"] = true; g.has("input_tensors") {
		a := g.object("input_tensors")
		dtype, scheme, dynamic, group := a.string("dtype", ""), strings.TrimPrefix(a.string("qscheme", ""), "per_"), a.bool("is_dynamic", false), a.int("group_size", 0)
		symmetric := a.bool("symmetric", true)
		a.inert(quarkInert + " block_size scale_format")
		a.finish()
		g.join(a)
		switch {
		case dtype == "fp8_e4m3" && scheme == "tensor" && !dynamic:
			s.acts, s.static = stored.FP8Static, true
		case dtype == "fp8_e4m3" && scheme == "tensor":
			s.acts = stored.FP8PerPass
		case dtype == "fp8_e4m3" && scheme == "channel" && dynamic:
			s.acts = stored.FP8PerToken
		case dtype == "fp8_e4m3" && scheme == "group" && dynamic && group == 128:
			s.acts = stored.FP8PerGroup
		case dtype == "int8" && scheme == "tensor" && !dynamic:
			s.acts, s.static = stored.Int8Static, true
		case dtype == "int8" && scheme == "channel" && dynamic && symmetric:
			s.acts = stored.Int8PerToken
		case dtype == "fp4" && scheme == "group" && dynamic && group == 32:
			s.acts = stored.MXPerGroup(4)
		default:
			g.unsupported("input_tensors", "%s per %s (group_size %d, dynamic %v) is not known", dtype, scheme, group, dynamic)
		}
	}
	return s
}

// quarkInert are keys of how scales were found.
const quarkInert = `observer_cls is_dynamic ch_axis symmetric round_method scale_type scale_calculation_mode qat_spec mx_element_dtype zero_point_type is_scale_quant
	enable_weight_error_compensation enable_buffer_reuse max_input_numel`

// quark reads one module.
func (m *module) quark(s *quarkScheme, reorder bool) {
	switch {
	case s.dtype == "fp8_e4m3" && !s.e8m0:
		m.fp8(&s.scheme, ".weight_scale")
	case s.dtype == "fp4" && s.e8m0 && s.strategy == "group" && s.group == 32:
		m.mx(&s.scheme, ".weight", 4, fp4)
	case s.dtype == "int8" && (s.strategy == "tensor" || s.strategy == "channel"):
		m.intQuantized(&s.scheme)
	case (s.dtype == "int4" || s.dtype == "uint4") && s.strategy == "group" && reorder:
		m.quarkInt4(s)
	default:
		m.unsupported("%s per %s (group_size %d, pack_method reorder: %v) is not read; fp8_e4m3, int8 per tensor and channel, int4 and uint4 per group, and fp4 per group of 32 with scales e8m0 are", s.dtype, s.strategy, s.group, reorder)
	}
}

// quarkInt4 reads integers of 4 bits in groups: AWQ's order under other names, of int4 each signed.
func (m *module) quarkInt4(s *quarkScheme) {
	w := m.tensor(".weight", 2, safetensors.I32)
	scale := m.tensor(".weight_scale", 2, scales...)
	z := m.tensor(".weight_zero_point", 2, safetensors.I32)
	if m.err != nil {
		return
	}
	x := &stored.Codes{N: scale.Shape[1], K: w.Shape[0], Bits: 4, Zeros: true, Acts: s.acts}
	if x.Group, _ = m.groups(x.K, s.group); x.K%x.Group != 0 || w.Shape[1] != (x.N+7)/8 {
		m.fail("weight %v and weight_scale %v are no matrix in groups of %d", w.Shape, scale.Shape, s.group)
		return
	}
	flip := uint8(0)
	if s.dtype == "int4" {
		flip = 8
	}
	m.awqGEMM(x, w, z, scale, flip)
	m.add(x, "quark "+s.dtype, w)
}
