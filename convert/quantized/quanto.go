package quantized

import (
	"strings"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// OpenQuanto joins what optimum-quanto saves: qmap is the text of quanto_qmap.json, {MODULE: {"weights": "qint8", "activations": "none"}}, which stands at where. Of a module [N, K]:
//
//	qint8, qfloat8_e4m3fn  weight._data I8 or F8_E4M3 [N, K], weight._scale [N, 1]                        code * scale
//	qint4, qint2           weight._data._data U8, weight._scale and weight._shift [N*groups, 1]           code * scale - shift, or (code - shift) * scale where shift is I8
//
// The latter are the matrix [N*groups, K/groups], packed along its rows in slices, the first slice in the low bits. Sizes of a matrix do not stand in the file:
// shape tells them, of a tensor's name; nil: there is no such tensor.
func OpenQuanto(where string, qmap []byte, from *safetensors.Checkpoint, shape func(name string) []int) (c *stored.Checkpoint, notes []string, err error) {
	conf, err := newConfig(where, qmap)
	if err != nil {
		return nil, nil, err
	}
	o := &opener{config: conf, from: from, parts: map[string]bool{}, method: "quanto"}
	for _, name := range entries(qmap) {
		m, s := o.module(name), conf.object(name)
		kind := s.string("weights", "none")
		if a := s.string("activations", "none"); a != "none" {
			s.unsupported("activations", "%.40q: outputs in fewer bits are not read: quantize weights alone", a)
		}
		s.finish()
		if conf.join(s); conf.err != nil {
			return nil, nil, conf.err
		}
		m.drop(".input_scale", ".output_scale") // ones
		switch kind {
		case "none":
		case "qint8":
			m.quantoBytes(safetensors.I8)
		case "qfloat8", "qfloat8_e4m3fn":
			m.quantoBytes(safetensors.F8E4M3)
		case "qint4", "qint2":
			m.quantoBits(int(kind[4]-'0'), shape(name+".weight"))
		default:
			m.unsupported("%.40q; qint2, qint4, qint8 and qfloat8_e4m3fn are read", kind)
		}
		if m.err != nil {
			return nil, nil, m.err
		}
	}
	return o.joined()
}

// quantoBytes reads a matrix with a scale a row.
func (m *module) quantoBytes(d safetensors.DType) {
	w := m.tensor(".weight._data", 2, d)
	scale := m.tensor(".weight._scale", -1, scales...)
	if m.err != nil {
		return
	}
	if d == safetensors.F8E4M3 {
		m.fp8Matrix(&scheme{}, w, scale)
		return
	}
	x := &stored.Codes{N: w.Shape[0], K: w.Shape[1], Bits: 8, Zero: 128, Group: w.Shape[1]}
	if n := scale.NumElems(); n != 1 && n != x.N {
		m.fail("weight._scale has shape %v, must be one number for each of the %d rows", scale.Shape, x.N)
		return
	}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		if err := signed(w, r0, r1, 8, b.Codes); err != nil {
			return err
		}
		if err := putScales(scale, r0, b); err != nil {
			return err
		}
		return nonzero(x, r0, b)
	}
	m.add(x, "quanto qint8", w)
}

// quantoBits reads codes of 2 or 4 bits.
func (m *module) quantoBits(bits int, shape []int) {
	w := m.tensor(".weight._data._data", 2, safetensors.U8)
	scale := m.tensor(".weight._scale", -1, scales...)
	shift := m.tensor(".weight._shift", -1, append(scales, safetensors.I8)...)
	if m.err != nil {
		return
	}
	if len(shape) != 2 {
		m.fail("the config describes no matrix of that name, which the file does not tell the size of")
		return
	}
	x := &stored.Codes{N: shape[0], K: shape[1], Bits: bits}
	if x.Group = w.Shape[1]; x.K%x.Group != 0 {
		m.fail("weight._data._data has shape %v, which does not fit %v", w.Shape, shape)
		return
	}
	groups, per := x.Groups(), 8/bits
	all := x.N * groups // rows of the matrix as it is packed
	slice := (all + per - 1) / per
	m.shape(w, slice, x.Group)
	if scale.NumElems() != all || shift.NumElems() != all {
		m.fail("weight._scale %v and weight._shift %v must be %d numbers each, of %v in groups of %d", scale.Shape, shift.Shape, all, shape, x.Group)
	}
	x.Zeros = shift.DType == safetensors.I8
	x.Offsets = !x.Zeros
	x.Read = func(r0, r1 int, b *stored.Block) error {
		from, to := r0*groups, r1*groups
		for r := from; r < to; { // a run within a slice
			n := min(to-r, slice-r%slice)
			p, err := rows(w, r%slice, r%slice+n)
			if err != nil {
				return err
			}
			dst := b.Codes[(r-from)*x.Group:]
			for i, c := range p {
				dst[i] = c >> (r / slice * bits) & (1<<bits - 1)
			}
			r += n
		}
		if err := scale.ReadPart(from, b.Scale); err != nil {
			return err
		}
		if x.Zeros {
			return readAt(shift, b.Zeros, from)
		}
		err := shift.ReadPart(from, b.Offset)
		for i, v := range b.Offset {
			b.Offset[i] = -v
		}
		return err
	}
	m.add(x, strings.Replace("quanto qint?", "?", string(rune('0'+bits)), 1), w)
}
