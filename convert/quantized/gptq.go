package quantized

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dlclark/regexp2"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openGPTQ reads AutoGPTQ's and GPTQModel's matrices, [N, K] stored with K first:
//
//	qweight I32 [K*bits/32, N]       down each column a stream of codes, the first in the lowest bits
//	qzeros  I32 [groups, N*bits/32]  the same along each row; in v1 each less by one
//	scales  F16 [groups, N]
//	g_idx   I32 [K]                  the group of each input; absent: k / group_size
//
// value = scale * (code - zero), exact in float32.
func openGPTQ(o *opener) error {
	c := o.config
	c.autoRound()
	c.inert(`method meta model_name_or_path model_file_base_name model_seqlen true_sequential static_groups damp_percent damp_auto_increment quantizer
		dataset tokenizer batch_size pad_token_id use_cuda_fp16 use_exllama use_marlin disable_exllama exllama_config max_input_length cache_block_outputs
		block_name_to_quantize module_name_preceding_first_block modules_in_block_to_quantize modules_to_not_convert mse act_group_aware hyb_act
		lm_head desc_act nsamples seqlen backend version quant_method autoround_version parallel_packing offload_to_disk pack_impl device v2 v2_alpha gptaq gptaq_alpha foem fallback fail_safe failsafe hessian
		gc_mode vram_strategy mock_quantization`)
	c.off("weights that a rotation or an adapter changes are not read", "rotation", "adapter", "eora")
	c.off("weights tiled for a GPU are not read: save the model in GPTQ's plain layout", "is_marlin_format")
	return openGPTQModules(o)
}

func openGPTQModules(o *opener) error {
	c := o.config
	if d := c.string("pack_dtype", "int32"); d != "int32" {
		c.unsupported("pack_dtype", "%.40q; only int32 is read", d)
	}
	layout := c.string("checkpoint_format", c.string("format", "gptq"))
	c.read["format"] = true
	if layout != "gptq" && layout != "gptq_v2" {
		c.unsupported("checkpoint_format", "%.40q; gptq and gptq_v2 are read: save the model in one of them", layout)
	}
	def := gptqSettings{c.int("bits", 0), c.int("group_size", 0)}
	sym := c.bool("sym", true)
	rules := c.gptqRules(def)
	if c.err != nil {
		return c.err
	}
	var list []*gptq
	for _, name := range o.modules(".qweight") {
		s, on := c.gptqOf(rules, name, def)
		if c.err != nil {
			return c.err
		}
		g, err := o.gptq(name, s, on)
		if err != nil {
			return err
		}
		list = append(list, g)
	}
	v2, err := gptqV2(list, layout == "gptq_v2", sym, o)
	for _, g := range list {
		g.v2 = v2
	}
	return err
}

// gptqSettings are those of one module.
type gptqSettings struct{ bits, group int }

// gptqRule is an entry of dynamic or extra_config: what modules of matching names have.
type gptqRule struct {
	key  string
	text string
	re   *regexp2.Regexp // nil: text is the module's name
	off  bool            // they are not quantized
	as   gptqSettings
}

// gptqRules reads dynamic, {"+:regex": {bits, group_size, ..}, "-:regex": {}}, of GPTQModel and extra_config,
// {"name": {bits, group_size, ..}}, of AutoRound.
func (c *config) gptqRules(def gptqSettings) (list []gptqRule) {
	for _, key := range []string{"dynamic", "extra_config"} {
		raw := get[json.RawMessage](c, key, "an object", nil)
		all := c.object(key)
		for _, text := range entries(raw) {
			r := gptqRule{key: key, text: text}
			own := all.object(text)
			r.as = gptqSettings{own.int("bits", def.bits), own.int("group_size", def.group)}
			own.inert("sym desc_act mse damp_percent act_bits act_group_size act_sym act_dynamic act_data_type super_bits super_group_size scale_dtype iters")
			if t := own.string("data_type", "int"); t != "int" {
				own.unsupported("data_type", "%.40q; only int is read", t)
			}
			own.finish()
			all.join(own)
			if key == "dynamic" {
				r.off = strings.HasPrefix(text, "-:")
				r.re = c.pattern(key, strings.TrimPrefix(strings.TrimPrefix(text, "-:"), "+:"))
			} else {
				r.off = r.as.bits >= 16
			}
			list = append(list, r)
		}
		c.join(all)
	}
	return list
}

// gptqOf is what the first rule that matches says of a module; on: it is quantized.
func (c *config) gptqOf(rules []gptqRule, name string, def gptqSettings) (s gptqSettings, on bool) {
	for _, r := range rules {
		if r.re == nil && r.text == name || r.re != nil && c.matches(r.key, r.re, name) {
			return r.as, !r.off
		}
	}
	return def, true
}

// gptq is one matrix.
type gptq struct {
	*stored.Codes
	v2                     bool
	qweight, zeros, scales columns
}

func (o *opener) gptq(name string, s gptqSettings, on bool) (*gptq, error) {
	m := o.module(name)
	if !on {
		m.fail("the config says that it is not quantized, but it has qweight")
	}
	if !slices.Contains([]int{2, 3, 4, 8}, s.bits) {
		m.unsupported("%d bits; 2, 3, 4 and 8 are read (5 to 7 of GPTQModel have another layout)", s.bits)
	}
	w := m.tensor(".qweight", 2, safetensors.I32)
	z := m.tensor(".qzeros", 2, safetensors.I32)
	sc := m.tensor(".scales", 2, scales...)
	if m.err != nil {
		return nil, m.err
	}
	n, k := w.Shape[1], w.Shape[0]*32/s.bits
	if w.Shape[0]*32%s.bits != 0 || n*s.bits%32 != 0 {
		m.fail("qweight %v holds no whole number of %d-bit codes: is bits right?", w.Shape, s.bits)
	}
	size, groups := m.groups(k, s.group)
	if groups != sc.Shape[0] {
		m.fail("scales has %d groups, %d inputs in groups of %d are %d", sc.Shape[0], k, size, groups)
	}
	m.shape(sc, groups, n)
	m.shape(z, groups, n*s.bits/32)
	g := &gptq{
		Codes:   &stored.Codes{N: n, K: k, Bits: s.bits, Group: size, Zeros: true},
		qweight: columns{t: w}, zeros: columns{t: z}, scales: columns{t: sc},
	}
	switch {
	case m.err != nil:
	case m.has(".g_idx"):
		g.Order = m.order(".g_idx", k, groups, size)
	case o.config.bool("desc_act", false) && groups > 1:
		m.fail("desc_act is true, but g_idx, the group of each input, is missing")
	}
	g.Read = g.read
	return g, m.add(g.Codes, fmt.Sprintf("gptq int%d", s.bits), w)
}

// order reads the group of each input and turns it into the column of each place.
func (m *module) order(suffix string, k, groups, size int) []int32 {
	t := m.tensor(suffix, 1, safetensors.I32, safetensors.I64)
	if m.err != nil {
		return nil
	}
	if m.shape(t, k); m.err != nil {
		return nil
	}
	of, err := numbers(t)
	if err != nil {
		m.err = err
		return nil
	}
	return m.grouped(of, groups, size)
}

func (g *gptq) read(r0, r1 int, b *stored.Block) error {
	k, bits, groups := g.K, g.Bits, g.Groups()
	w, stride, err := g.qweight.read(r0, r1)
	if err != nil {
		return err
	}
	words := make([]byte, k*bits/8)
	for r := range r1 - r0 {
		for i := range len(words) / 4 {
			copy(words[4*i:4*i+4], w[i*stride+4*r:])
		}
		fields(b.Codes[r*k:(r+1)*k], words, 0, bits)
	}
	place(b.Codes, g.Order)
	w0, w1 := r0*bits/32, (r1*bits+31)/32
	z, zstride, err := g.zeros.read(w0, w1)
	if err != nil {
		return err
	}
	s, sstride, err := g.scales.read(r0, r1)
	if err != nil {
		return err
	}
	line, row := make([]byte, 4*(w1-w0)), make([]uint8, r1-r0)
	for j := range groups {
		copy(line, z[j*zstride:])
		g.plusOne(line)
		fields(row, line, r0*bits-32*w0, bits)
		for r, zero := range row {
			if !g.v2 && bits == 3 {
				zero = (zero + 1) & 7
			}
			b.Zeros[r*groups+j] = zero
			b.Scale[r*groups+j] = number(s[j*sstride:], r, g.scales.t.DType)
		}
	}
	for _, c := range []*columns{&g.qweight, &g.scales} {
		c.drop(r1)
	}
	g.zeros.drop(w1)
	return nonzero(g.Codes, r0, b)
}

// plusOne undoes what v1 does to words of zeros: GPTQModel takes the ones off whole words, so that a zero of 0
// borrows from its neighbour, which adding to whole words gives back. Fields of 3 bits straddle words: see read.
func (g *gptq) plusOne(p []byte) {
	if g.v2 || g.Bits == 3 {
		return
	}
	for i := 0; i < len(p); i += 4 {
		binary.LittleEndian.PutUint32(p[i:], binary.LittleEndian.Uint32(p[i:])+ones(g.Bits))
	}
}

// ones has a 1 in each field of b bits.
func ones(b int) (w uint32) {
	for i := 0; i < 32; i += b {
		w |= 1 << i
	}
	return w
}

// gptqV2 says whether stored zeros count as they are. Files exist whose format says the other: with sym all zeros are
// 2^(bits-1), so what is stored tells.
func gptqV2(list []*gptq, says, sym bool, o *opener) (bool, error) {
	if !sym {
		return says, nil
	}
	for _, g := range list {
		if g.Bits == 3 {
			return says, nil
		}
		want := ones(g.Bits) << (g.Bits - 1) // what the other kind stores
		if says {
			want -= ones(g.Bits)
		}
		t := g.zeros.t
		p := make([]byte, t.Size()/int64(t.NumRows()))
		for i := range t.NumRows() {
			if err := readAt(t, p, i*len(p)); err != nil {
				return false, err
			}
			for j := range len(p) / 4 {
				if word(p, j) != want {
					return says, nil
				}
			}
		}
	}
	if len(list) == 0 {
		return says, nil
	}
	is := map[bool]string{false: "gptq", true: "gptq_v2"}
	o.notes = append(o.notes, o.config.where+": checkpoint_format says "+is[says]+", but the zeros of this symmetric checkpoint are stored as "+is[!says]+" stores them: read so")
	return !says, nil
}
