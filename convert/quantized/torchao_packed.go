package quantized

import (
	"encoding/json"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// Classes of torchao whose codes are packed, two to a byte, or floats of 8 bits under scales of a few inputs:
//
//	Int4Tensor   qdata I8 or U8 [N, K/2], the first code in the low bits, signed; scale and zero_point [groups, N]    code * scale + zero_point
//	MXTensor     qdata F8_E4M3 [N, K] or U8 [N, K/2], scale F8_E8M0 [N, K/32]                                         float * 2^(x-127)
//	NVFP4Tensor  qdata U8 [N, K/2], scale F8_E4M3 [N, K/16], per_tensor_scale or none                                 fp4 * (per_tensor_scale * scale)

// torchAOInt4 reads an Int4Tensor.
func (m *module) torchAOInt4(t torchAOTensor) error {
	w := m.tensor("._weight_qdata", 2, safetensors.I8, safetensors.U8)
	scale := m.tensor("._weight_scale", 2, scales...)
	zero := m.tensor("._weight_zero_point", 2, scales...)
	if m.err != nil {
		return m.err
	}
	x := &stored.Codes{N: w.Shape[0], K: 2 * w.Shape[1], Bits: 4, Zero: 8, Offsets: true}
	size, groups := x.K, 1
	if b := t.Data.BlockSize; len(b) == 2 && b[0] == 1 {
		size, groups = m.groups(x.K, b[1])
	} else {
		m.unsupported("blocks of %v; [1, inputs] are read", b)
	}
	x.Group = size
	m.shape(scale, groups, x.N)
	m.shape(zero, groups, x.N)
	switch d := t.Data.ActDType.Data; d {
	case "", "bfloat16", "float16", "float32":
	case "float8_e4m3fn":
		x.Acts = stored.FP8PerToken
	default:
		m.unsupported("activation_dtype %.40q is not known", d)
	}
	columnsOf := [2]columns{{t: scale}, {t: zero}}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		p, err := rows(w, r0, r1)
		if err != nil {
			return err
		}
		fields(b.Codes, p, 0, 4)
		for i := range b.Codes {
			b.Codes[i] ^= 8
		}
		for i, dst := range [][]float32{b.Scale, b.Offset} {
			c := &columnsOf[i]
			p, stride, err := c.read(r0, r1)
			if err != nil {
				return err
			}
			for j := range dst {
				dst[j] = number(p[j%groups*stride:], j/groups, c.t.DType)
			}
			c.drop(r1)
		}
		return nil
	}
	return m.add(x, "torchao Int4Tensor", w)
}

// torchAOFloats reads an MXTensor or NVFP4Tensor.
func (m *module) torchAOFloats(t torchAOTensor) error {
	d := &t.Data
	kind, group, all := "mx", 32, float32(1)
	switch {
	case t.Type == "NVFP4Tensor":
		kind, group = "nvfp4", 16
		if m.has("._weight_per_tensor_scale") {
			all = m.positive("._weight_per_tensor_scale")
		}
	case d.Elem.Data != "float8_e4m3fn" && d.Elem.Data != "float4_e2m1fn_x2":
		m.unsupported("MXTensor of %.40q; float8_e4m3fn and float4_e2m1fn_x2 are read", d.Elem.Data)
	}
	var size int
	if json.Unmarshal(d.Block, &size) != nil || size != group {
		m.unsupported("%s in blocks of %.20s; %d is read", t.Type, d.Block, group)
	}
	scaleType := map[string]safetensors.DType{"mx": safetensors.F8E8M0, "nvfp4": safetensors.F8E4M3}[kind]
	w := m.tensor("._weight_qdata", 2, safetensors.F8E4M3, safetensors.U8)
	scale := m.tensor("._weight_scale", 2, scaleType)
	if m.err != nil {
		return m.err
	}
	x := &stored.Codes{Bits: 8, Table: e4m3Table, Group: group}
	if w.DType == safetensors.U8 {
		x.Bits, x.Table = 4, fp4
	}
	if d.Kwargs != nil {
		x.Acts = stored.MXPerGroup(x.Bits)
		if kind == "nvfp4" {
			x.Acts = stored.FP4PerGroup
		}
	}
	per := w.Shape[1] * 8 / x.Bits / group
	at, rows, row := func(r, g int) int { return r*per + g }, 1, per // where a scale is, and rows that stand together in so many numbers
	plain := scale
	if d.Swizzled { // in tiles of 128 rows and 4 groups, padded; in a tile the groups of rows r, r+32, r+64, r+96 are neighbours
		tiles := (per + 3) / 4
		at, rows, row = func(r, g int) int { return ((r/128*tiles+g/4)*32+r%32)*16 + r%128/32*4 + g%4 }, 128, tiles*512
		if need := (w.Shape[0] + 127) / 128 * row; scale.NumElems() != need {
			m.fail("_weight_scale has shape %v, swizzled scales of %d rows of %d groups are %d", scale.Shape, w.Shape[0], per, need)
		}
		plain = nil
	}
	value := e8m0
	if kind == "nvfp4" {
		value = func(c uint8) float32 { return all * e4m3[c] }
	}
	m.floats(x, w, plain, "torchao "+t.Type, func(r0, r1 int, dst []float32) error {
		from := r0 / rows * row
		p := make([]byte, (r1+rows-1)/rows*row-from)
		if err := readAt(scale, p, from); err != nil {
			return err
		}
		for i := range dst {
			dst[i] = value(p[at(r0+i/per, i%per)-from])
		}
		return nil
	})
	return m.err
}
