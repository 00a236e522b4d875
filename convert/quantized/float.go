package quantized

import (
	"fmt"
	"slices"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openFP8 reads FP8 as DeepSeek, Qwen and AutoFP8 publish it (fbgemm_fp8: Llama 3.1 405B), value = e4m3 * scale:
//
//	weight F8_E4M3 [N, K]
//	weight_scale_inv [ceil(N/128), ceil(K/128)]   with weight_block_size; multiplied, whatever its name; the last blocks may be short
//	weight_scale     one number, or [N, 1]
func openFP8(o *opener) error {
	c := o.config
	c.inert("fmt scale_fmt modules_to_not_convert ignored_layers ignore is_checkpoint_fp8_serialized activation_scale_ub quant_method dequantize")
	c.off("keys and values in FP8 are not read; take the key out of the file to keep them in 16 bits", "kv_cache_scheme", "kv_cache_dtype")
	if f := c.string("fmt", "e4m3"); f != "e4m3" && f != "float8_e4m3fn" {
		c.unsupported("fmt", "%.40q; e4m3 is read", f)
	}
	s := &scheme{strategy: "tensor", block: get[[]int](c, "weight_block_size", "two integers", nil)}
	switch a := c.string("activation_scheme", "dynamic"); {
	case a == "static":
		s.acts, s.static = stored.FP8Static, true
	case a != "dynamic":
		c.unsupported("activation_scheme", "%.40q; dynamic and static are known", a)
	case s.block != nil:
		s.acts = stored.FP8PerGroup
	default:
		s.acts = stored.FP8PerToken
	}
	if c.err != nil {
		return c.err
	}
	if s.block != nil {
		s.strategy = "block"
	}
	list := append(o.modules(".weight_scale_inv"), o.modules(".weight_scale")...)
	slices.Sort(list)
	for _, name := range slices.Compact(list) {
		m := o.module(name)
		m.inputs(s)
		if m.drop(".activation_scale", ".input_scale_ub"); m.has(".weight_scale_inv") {
			m.fp8(s, ".weight_scale_inv")
		} else {
			m.fp8(s, ".weight_scale")
		}
		if m.err != nil {
			return m.err
		}
	}
	return nil
}

// fp8 reads a matrix of e4m3 values under the scale of that name, whose shape says what shares one unless there are blocks.
func (m *module) fp8(s *scheme, name string) {
	w := m.tensor(".weight", 2, safetensors.F8E4M3)
	scale := m.tensor(name, -1, append(scales, safetensors.F8E8M0, safetensors.U8)...) // the latter two 2^(x-127)
	if m.has(".weight_zero_point") {                                                   // of compressed-tensors before 0.5
		if z := m.tensor(".weight_zero_point", -1, safetensors.F8E4M3, safetensors.I8); m.err == nil {
			if p, err := bytesOf(z); err != nil || slices.ContainsFunc(p, func(c byte) bool { return c != 0 }) {
				m.fail("it has a zero point other than 0, which FP8 does not")
			}
		}
	}
	if m.err != nil {
		return
	}
	m.fp8Matrix(s, w, scale)
}

// fp8Matrix is the matrix w with these scales.
func (m *module) fp8Matrix(s *scheme, w, scale *safetensors.Tensor) error {
	x := &stored.Codes{N: w.Shape[0], K: w.Shape[1], Bits: 8, Acts: s.acts, Table: e4m3Table, Group: w.Shape[1]}
	blockN, per := x.N, 1 // rows that share scales, scales of a row
	switch {
	case s.strategy == "block":
		if len(s.block) != 2 || s.block[0] <= 0 || s.block[1] <= 0 {
			m.fail("blocks of %v, must be two sizes", s.block)
			return m.err
		}
		blockN = s.block[0]
		x.Group, per = m.groups(x.K, s.block[1])
		if want := []int{(x.N + blockN - 1) / blockN, per}; len(scale.Shape) == 4 { // as ModelOpt shapes it
			m.shape(scale, want[0], 1, per, 1)
		} else {
			m.shape(scale, want...)
		}
	case s.strategy == "group":
		blockN = 1
		x.Group, per = m.groups(x.K, s.group)
		m.shape(scale, x.N, per)
	case scale.NumElems() == 1:
	case scale.NumElems() == x.N && (len(scale.Shape) == 1 || scale.Shape[0] == x.N):
		blockN = 1
	default:
		m.fail("%s has shape %v, must be one number or one for each of the %d rows", scale.Name[len(m.name)+1:], scale.Shape, x.N)
	}
	if m.err != nil {
		return m.err
	}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		if err := readAt(w, b.Codes, r0*x.K); err != nil {
			return err
		}
		if err := noNaN(b.Codes, r0, x.K); err != nil {
			return err
		}
		for r := r0; r < r1; r++ {
			if err := scaleRow(scale, r/blockN*per, b.Scale[(r-r0)*per:(r-r0+1)*per]); err != nil {
				return err
			}
		}
		return nil
	}
	return m.add(x, "fp8 e4m3", w)
}

// noNaN refuses codes of e4m3 that are no number, of rows of k from r0 on.
func noNaN(codes []uint8, r0, k int) error {
	for i, c := range codes {
		if c&0x7f == 0x7f {
			return fmt.Errorf("%w: row %d, input %d is NaN: quantize anew (torchao writes NaN for rows of zeros)", ErrInput, r0+i/k, i%k)
		}
	}
	return nil
}

// scaleRow reads scales from on, of floats or powers of two.
func scaleRow(t *safetensors.Tensor, from int, dst []float32) error {
	if t.DType != safetensors.F8E8M0 && t.DType != safetensors.U8 {
		return t.ReadPart(from, dst)
	}
	p := make([]byte, len(dst))
	if err := readAt(t, p, from); err != nil {
		return err
	}
	for i, x := range p {
		dst[i] = e8m0(x)
	}
	return nil
}

// mx reads FP4 (E2M1) and FP6 (E2M3), the first number in the low bits, under scales of 32 numbers, U8 2^(x-127).
func (m *module) mx(s *scheme, weight string, bits int, table []float32) {
	w := m.tensor(weight, 2, safetensors.U8)
	scale := m.tensor(".weight_scale", 2, safetensors.U8)
	if m.err != nil {
		return
	}
	m.floats(&stored.Codes{Bits: bits, Table: table, Group: 32, Acts: s.acts}, w, scale, fmt.Sprintf("mxfp%d", bits), func(r0, r1 int, dst []float32) error {
		return scaleRow(scale, r0*scale.Shape[1], dst)
	})
}

// floats is the matrix w, [N, K*bits/8] bytes, the first number in the low bits, with scales of which read gives rows, stored [N, groups] if scale is not nil.
func (m *module) floats(x *stored.Codes, w, scale *safetensors.Tensor, kind string, read func(r0, r1 int, dst []float32) error) {
	if m.err != nil {
		return
	}
	if x.N, x.K = w.Shape[0], w.Shape[1]*8/x.Bits; x.K*x.Bits != w.Shape[1]*8 {
		m.fail("%s has shape %v: rows are not whole numbers of %d bits", w.Name[len(m.name)+1:], w.Shape, x.Bits)
		return
	}
	if scale != nil {
		m.shape(scale, x.N, x.Groups())
	}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		p, err := rows(w, r0, r1)
		if err != nil {
			return err
		}
		fields(b.Codes, p, 0, x.Bits)
		if w.DType == safetensors.F8E4M3 {
			if err := noNaN(b.Codes, r0, x.K); err != nil {
				return err
			}
		}
		return read(r0, r1, b.Scale)
	}
	m.add(x, kind, w)
}

// openMXFP4 reads gpt-oss: experts in stacks [E, N, K], of the number of groups G = K/32,
//
//	NAME_blocks U8 [E, N, G, 16]  the first number in the low bits
//	NAME_scales U8 [E, N, G]      2^(x-127)
//
// of a tensor NAME that the model itself has as [E, K, N] (stored.Tensor.Natural).
func openMXFP4(o *opener) error {
	o.config.inert("modules_to_not_convert quant_method dequantize")
	for _, name := range o.modules("_blocks") {
		m := o.module(name)
		w := m.tensor("_blocks", 4, safetensors.U8)
		scale := m.tensor("_scales", 3, safetensors.U8)
		if m.err != nil {
			return m.err
		}
		e, n, g := w.Shape[0], w.Shape[1], w.Shape[2]
		m.shape(w, e, n, g, 16)
		m.shape(scale, e, n, g)
		x := &stored.Codes{N: e * n, K: 32 * g, Bits: 4, Table: fp4, Group: 32}
		x.Read = func(r0, r1 int, b *stored.Block) error {
			p := make([]byte, (r1-r0)*x.K/2)
			if err := readAt(w, p, r0*x.K/2); err != nil {
				return err
			}
			fields(b.Codes, p, 0, 4)
			return scaleRow(scale, r0*g, b.Scale)
		}
		if err := m.addTensor(&stored.Tensor{Name: name, Shape: []int{e, n, x.K}, Type: "mxfp4", File: w.File(), Codes: x}); err != nil {
			return err
		}
	}
	return nil
}
