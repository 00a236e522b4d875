package quantized

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dlclark/regexp2"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openCompressed reads what llm-compressor saves as compressed-tensors. Nothing is turned: tensors of a module [N, K] are
//
//	pack-quantized   weight_packed I32 [N, K*bits/32], the first code in the lowest bits, each plus 2^(bits-1)
//	                 weight_shape I64 [2], weight_g_idx I32 [K] or none
//	                 weight_zero_point I32 [N*bits/32, groups] or none, packed along N, plus 2^(bits-1) too
//	int-quantized    weight I8 [N, K], weight_zero_point I8 [N, groups] or none
//	float-quantized  weight F8_E4M3 [N, K]; mxfp8-quantized: with U8 scales 2^(x-127)
//	nvfp4, mxfp4, mxfp6  weight_packed U8 [N, K*bits/8]: see float.go
//
// and weight_scale [N, groups], or one for 128x128 blocks, or one for all.
func openCompressed(o *opener) error {
	c := o.config
	c.inert("provider quantization_status run_compressed global_compression_ratio version compression_version quant_method")
	for _, key := range []string{"sparsity_config", "transform_config"} {
		part := c.object(key)
		if len(part.keys) > 0 && part.string("format", "") != "dense" {
			c.unsupported(key, "%.80s: weights that are sparse, or turned while running, are not read: save the model without", c.keys[key])
		}
	}
	c.off("keys and values in fewer bits are not read; take the key out of the file to keep them in 16, which is at least as accurate", "kv_cache_scheme")
	format := c.string("format", "")
	schemes := c.schemes(format)
	ignore := c.targets("ignore", c.list("ignore"))
	if c.err != nil {
		return c.err
	}
	for _, name := range o.compressedModules() {
		m := o.module(name)
		s, ignored := schemes.scheme(c, name), ignore.match(c, name) != ""
		if c.err != nil {
			return c.err
		}
		switch {
		case ignored:
			m.fail("the config ignores it, but it has quantized tensors")
		case s == nil:
			m.fail("it has quantized tensors, but no target of config_groups is its name or Linear")
		default:
			m.compressed(s)
		}
		if m.err != nil {
			return m.err
		}
	}
	return c.err
}

// compressedModules are those that have a scale.
func (o *opener) compressedModules() []string {
	list := append(o.modules(".weight_packed"), o.modules(".weight_scale")...)
	slices.Sort(list)
	return slices.Compact(list)
}

// scheme is what a config group says of its modules.
type scheme struct {
	format   string
	bits     int
	float    bool
	strategy string
	group    int
	block    []int
	static   bool // inputs have scales of their own
	acts     stored.Acts
}

// schemes are those of config_groups by target: where two groups have the same, the last counts.
type schemes struct {
	targets
	of map[string]*scheme
}

// schemes reads config_groups.
func (c *config) schemes(format string) (list schemes) {
	groups := c.object("config_groups")
	list.of = map[string]*scheme{}
	for _, key := range entries(c.keys["config_groups"]) {
		g := groups.object(key)
		w := g.object("weights")
		s := &scheme{
			format: g.string("format", format),
			bits:   w.int("num_bits", 8), float: strings.EqualFold(w.string("type", "int"), "float"), strategy: strings.ToLower(w.string("strategy", "")), group: w.int("group_size", 0),
			block: w.blocks("block_structure"),
		}
		if s.format == "mixed-precision" || s.format == "" {
			g.bad("format", "is missing: the packing of this group's weights is not known")
		}
		if !g.has("weights") {
			g.unsupported("weights", "is missing: inputs that are rounded before plain weights, or in attention, are not supported: take the group out of the file to leave them alone")
		}
		if s.strategy == "" { // as the library has it
			switch {
			case s.group > 0:
				s.strategy = "group"
			case s.group < 0:
				s.strategy = "channel"
			default:
				s.strategy = "tensor"
			}
		}
		w.inert("symmetric actorder observer observer_kwargs scale_dtype zp_dtype")
		w.off("weights that are quantized while running are not read", "dynamic")
		w.finish()
		g.off("outputs in fewer bits are not supported", "output_activations")
		g.inert("format")
		s.readActs(g)
		for _, target := range g.list("targets") {
			list.of[target] = s
		}
		g.finish()
		g.join(w)
		groups.join(g)
	}
	if c.join(groups); len(list.of) == 0 {
		c.bad("config_groups", "is missing")
	}
	list.targets = c.targets("config_groups: targets", slices.Sorted(maps.Keys(list.of)))
	return list
}

// scheme is the one of a module: that of its name, else of the first pattern in the order of their letters, else of its class; nil: none.
func (s schemes) scheme(c *config, name string) *scheme {
	if target := s.match(c, name); target != "" {
		return s.of[target]
	}
	classes := []string{"Linear", "Module"}
	if strings.Contains(name, "embed") {
		classes = []string{"Embedding", "Module", "Linear"}
	}
	for _, class := range classes {
		if x := s.of[class]; x != nil {
			return x
		}
	}
	return nil
}

// blocks are the rows and columns of blocks, [128, 128] or "128x128".
func (c *config) blocks(key string) (block []int) {
	c.read[key] = true
	var text string
	if json.Unmarshal(c.keys[key], &text) != nil || text == "" {
		return get[[]int](c, key, "two integers", nil)
	}
	for side := range strings.SplitSeq(text, "x") {
		n, err := strconv.Atoi(side)
		if err != nil {
			c.bad(key, "%.60q is not two integers", text)
		}
		block = append(block, n)
	}
	return block
}

// readActs reads input_activations.
func (s *scheme) readActs(g *config) {
	if g.read["input_activations"] = true; !g.has("input_activations") {
		return
	}
	a := g.object("input_activations")
	bits, kind, strategy := a.int("num_bits", 8), strings.ToLower(a.string("type", "int")), strings.ToLower(a.string("strategy", "tensor"))
	symmetric, group := a.bool("symmetric", true), a.int("group_size", 0)
	dynamic := get[any](a, "dynamic", "true, false or \"local\"", false)
	a.inert("actorder block_structure observer observer_kwargs scale_dtype zp_dtype")
	a.finish()
	g.join(a)
	s.static = dynamic == false
	switch {
	case kind == "int" && bits == 8 && s.static && strategy == "tensor":
		s.acts = stored.Int8Static
	case kind == "int" && bits == 8 && dynamic == true && strategy == "token" && symmetric:
		s.acts = stored.Int8PerToken
	case kind == "int" && bits == 8 && dynamic == true && strategy == "token":
		s.acts = stored.Int8Asym
	case kind == "float" && bits == 8 && s.static && strategy == "tensor":
		s.acts = stored.FP8Static
	case kind == "float" && bits == 8 && dynamic == true && strategy == "token":
		s.acts = stored.FP8PerToken
	case kind == "float" && bits == 8 && dynamic == true && strategy == "group" && group == 128:
		s.acts = stored.FP8PerGroup
	case kind == "float" && (bits == 8 || bits == 6 || bits == 4) && dynamic == true && strategy == "group" && group == 32:
		s.acts = stored.MXPerGroup(bits)
	case kind == "float" && bits == 4 && strategy == "tensor_group" && group == 16:
		s.acts, s.static = stored.FP4PerGroup, true // with input_global_scale
	default:
		g.unsupported("input_activations", "%s of %d bits per %s (group_size %d, dynamic %v) is not known", kind, bits, strategy, group, dynamic)
	}
}

// targets are names of modules and patterns "re:REGEX" of them.
type targets struct {
	key     string
	names   map[string]bool
	regexes map[string]*regexp2.Regexp
}

func (c *config) targets(key string, list []string) targets {
	t := targets{key, map[string]bool{}, map[string]*regexp2.Regexp{}}
	for _, text := range list {
		if expr, ok := strings.CutPrefix(text, "re:"); ok {
			t.regexes[text] = c.pattern(key, expr)
		} else {
			t.names[text] = true
		}
	}
	return t
}

// match is the target that means a module by its name, as compressed-tensors takes them; "": none.
func (t targets) match(c *config, name string) string {
	if t.names[name] {
		return name
	}
	for _, text := range slices.Sorted(maps.Keys(t.regexes)) {
		if c.matches(t.key, t.regexes[text], name) {
			return text
		}
	}
	return ""
}

// compressed reads one module.
func (m *module) compressed(s *scheme) {
	m.inputs(s)
	m.drop(".input_global_scale", ".weight_observer", ".output_scale")
	switch s.format {
	case "pack-quantized":
		m.packQuantized(s)
	case "int-quantized", "naive-quantized":
		if s.float {
			m.fp8(s, ".weight_scale")
		} else {
			m.intQuantized(s)
		}
	case "float-quantized", "mxfp8-quantized":
		m.fp8(s, ".weight_scale")
	case "nvfp4-pack-quantized":
		m.nvfp4(s, ".weight_packed", ".weight_global_scale", fp4, func(scale, all float32) float32 { return scale / all })
	case "mxfp4-pack-quantized":
		m.mx(s, ".weight_packed", 4, fp4)
	case "mxfp6-pack-quantized":
		m.mx(s, ".weight_packed", 6, fp6)
	default:
		m.unsupported("format %.40q; read are pack-quantized, int-quantized, naive-quantized, float-quantized, mxfp8-quantized, nvfp4-pack-quantized, mxfp4-pack-quantized, mxfp6-pack-quantized: save the model in one of these", s.format)
	}
}

// inputs reads the scale and zero point of inputs.
func (m *module) inputs(s *scheme) {
	if s.acts != stored.Int8Static && s.acts != stored.FP8Static {
		m.drop(".input_scale", ".input_zero_point")
		return
	}
	one := func(t *safetensors.Tensor, what string) float32 {
		if m.err != nil {
			return 0
		}
		v, err := numbers(t)
		if err != nil || len(v) != 1 || v[0]-v[0] != 0 {
			m.fail("%s is %v, must be one number", what, v)
			return 0
		}
		return v[0]
	}
	if m.actScale = one(m.tensor(".input_scale", -1, scales...), "input_scale"); m.err == nil && m.actScale <= 0 {
		m.fail("input_scale is %v, must be positive", m.actScale)
	}
	if m.has(".input_zero_point") && m.err == nil {
		if s.acts == stored.Int8Static {
			m.actZero = int32(one(m.tensor(".input_zero_point", -1, safetensors.I8), "input_zero_point"))
		} else {
			m.drop(".input_zero_point")
		}
	}
}

// intGroups says how many inputs share a scale, of weight_scale [N, groups], [N, 1], [N] or one for all.
func (m *module) intGroups(s *scheme, scale *safetensors.Tensor, n, k int) (size int) {
	size = k
	want := []int{n, 1}
	switch s.strategy {
	case "group":
		var groups int
		size, groups = m.groups(k, s.group)
		want[1] = groups
	case "channel":
		if len(scale.Shape) == 1 {
			want = []int{n}
		}
	case "tensor":
		if want = scale.Shape; m.err == nil && scale.NumElems() != 1 {
			m.fail("weight_scale has shape %v, must be one number", scale.Shape)
		}
	default:
		m.unsupported("integer weights with the strategy %.40q; tensor, channel and group are read", s.strategy)
	}
	if m.err == nil {
		m.shape(scale, want...)
	}
	return size
}

// putScales fills a block's scales from a tensor with a row of them for each row, or one for all.
func putScales(t *safetensors.Tensor, r0 int, b *stored.Block) error {
	if t.NumElems() == 1 {
		v, err := numbers(t)
		for i := range b.Scale {
			b.Scale[i] = v[0]
		}
		return err
	}
	return t.ReadPart(r0*t.RowLen(), b.Scale)
}

func (m *module) packQuantized(s *scheme) {
	w := m.tensor(".weight_packed", 2, safetensors.I32)
	scale := m.tensor(".weight_scale", -1, scales...)
	shape := m.tensor(".weight_shape", 1, safetensors.I64, safetensors.I32)
	if m.err != nil {
		return
	}
	if m.shape(shape, 2); s.bits < 2 || s.bits > 8 || s.float {
		m.unsupported("pack-quantized weights of %d bits (float: %v); integers of 2 to 8 are read", s.bits, s.float)
	}
	if m.err != nil {
		return
	}
	dims, err := numbers(shape)
	if err != nil || dims[0] < 1 || dims[1] < 1 || dims[0] > 1<<30 || dims[1] > 1<<30 {
		m.fail("weight_shape is %v, must be two sizes", dims)
		return
	}
	x := &stored.Codes{N: int(dims[0]), K: int(dims[1]), Bits: s.bits, Zero: 1 << (s.bits - 1), Acts: s.acts}
	per := 32 / s.bits
	dense, old := (x.K*s.bits+31)/32, (x.K+per-1)/per // words of a row; versions up to 0.9 leave bits of a word unused
	if x.N != w.Shape[0] || w.Shape[1] != dense && w.Shape[1] != old {
		m.fail("weight_shape is %v, weight_packed %v; a row of that needs %d words", dims, w.Shape, dense)
		return
	}
	x.Group = m.intGroups(s, scale, x.N, x.K)
	groups := x.Groups()
	var zp *safetensors.Tensor
	if m.has(".weight_zero_point") {
		zp = m.tensor(".weight_zero_point", 2, safetensors.I32, safetensors.I8)
		x.Zero, x.Zeros = 0, true
		if m.err == nil && zp.DType == safetensors.I32 {
			m.shape(zp, (x.N*s.bits+31)/32, groups)
		} else if m.err == nil {
			m.shape(zp, x.N, groups)
		}
	}
	if m.has(".weight_g_idx") && m.err == nil {
		x.Order = m.order(".weight_g_idx", x.K, groups, x.Group)
	}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		p, err := rows(w, r0, r1)
		if err != nil {
			return err
		}
		for r := range r1 - r0 {
			line, codes := p[4*r*w.Shape[1]:4*(r+1)*w.Shape[1]], b.Codes[r*x.K:(r+1)*x.K]
			if w.Shape[1] == dense {
				fields(codes, line, 0, s.bits)
				continue
			}
			for k := range codes {
				codes[k] = uint8(word(line, k/per)>>(k%per*s.bits)) & (1<<s.bits - 1)
			}
		}
		place(b.Codes, x.Order)
		if zp != nil {
			if err := putPackedZeros(zp, r0, r1, s.bits, b.Zeros); err != nil {
				return err
			}
		}
		if err := putScales(scale, r0, b); err != nil {
			return err
		}
		return nonzero(x, r0, b)
	}
	m.add(x, fmt.Sprintf("compressed-tensors int%d", s.bits), w)
}

// putPackedZeros reads zero points of rows: packed along N, or of old versions plain.
func putPackedZeros(t *safetensors.Tensor, r0, r1, bits int, zeros []uint8) error {
	groups := t.Shape[1]
	if t.DType == safetensors.I8 {
		p, err := rows(t, r0, r1)
		for i := range p {
			zeros[i] = p[i] + 1<<(bits-1)
		}
		return err
	}
	w0, w1 := r0*bits/32, (r1*bits+31)/32
	p, err := rows(t, w0, w1)
	if err != nil {
		return err
	}
	line, row := make([]byte, 4*(w1-w0)), make([]uint8, r1-r0)
	for g := range groups {
		for i := range w1 - w0 {
			copy(line[4*i:4*i+4], p[4*(i*groups+g):])
		}
		fields(row, line, r0*bits-32*w0, bits)
		for r, z := range row {
			zeros[r*groups+g] = z
		}
	}
	return nil
}

func (m *module) intQuantized(s *scheme) {
	w := m.tensor(".weight", 2, safetensors.I8)
	scale := m.tensor(".weight_scale", -1, scales...)
	if m.err != nil {
		return
	}
	if s.bits < 2 || s.bits > 8 {
		m.unsupported("integer weights of %d bits; 2 to 8 are read", s.bits)
		return
	}
	x := &stored.Codes{N: w.Shape[0], K: w.Shape[1], Bits: s.bits, Zero: 1 << (s.bits - 1), Acts: s.acts}
	x.Group = m.intGroups(s, scale, x.N, x.K)
	var zp *safetensors.Tensor
	if m.has(".weight_zero_point") {
		zp = m.tensor(".weight_zero_point", -1, safetensors.I8)
		x.Zero, x.Zeros = 0, true
		if m.err == nil && zp.NumElems() != 1 && (zp.NumElems() != x.N*x.Groups() || zp.Shape[0] != x.N) {
			m.fail("weight_zero_point has shape %v, must be one number or %d for each of the %d rows", zp.Shape, x.Groups(), x.N)
		}
	}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		if err := signed(w, r0, r1, s.bits, b.Codes); err != nil {
			return err
		}
		if zp != nil {
			if err := signedZeros(zp, r0, r1, s.bits, b.Zeros); err != nil {
				return err
			}
		}
		if err := putScales(scale, r0, b); err != nil {
			return err
		}
		return nonzero(x, r0, b)
	}
	m.add(x, fmt.Sprintf("compressed-tensors int%d", s.bits), w)
}

// signedZeros reads zeros of rows, or the one of all.
func signedZeros(t *safetensors.Tensor, r0, r1, bits int, dst []uint8) error {
	if t.NumElems() != 1 {
		return signed(t, r0, r1, bits, dst)
	}
	err := signed(t, 0, 1, bits, dst[:1])
	for i := range dst {
		dst[i] = dst[0]
	}
	return err
}

// signed reads rows of an I8 tensor as codes of so many bits, whose zero is the middle: small ones are kept as they are meant, small, since sums of products lose
// what a zero far off adds to them.
func signed(t *safetensors.Tensor, r0, r1, bits int, dst []uint8) error {
	row := int(t.Size()) / t.NumRows()
	if err := readAt(t, dst, r0*row); err != nil {
		return err
	}
	half := 1 << (bits - 1)
	for i, c := range dst {
		v := int(int8(c)) + half
		if v < 0 || v >= 2*half {
			return fmt.Errorf("%s: %w: %.200q: %d in row %d is no integer of %d bits, as the config says", t.File(), ErrInput, t.Name, int8(c), r0+i/row, bits)
		}
		dst[i] = uint8(v)
	}
	return nil
}
