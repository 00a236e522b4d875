package quantized

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openMLX reads MLX's matrices, embeddings and heads included: what has scales is quantized.
//
//	weight U32 [N, K*bits/32]   the first code in the lowest bits
//	affine  scales, biases [N, groups]   value = scale*code + bias, each rounded
//	mxfp4   scales U8 [N, K/32] 2^(x-127); weight of FP4
//	mxfp8   the same; weight of e4m3
//	nvfp4   scales U8 [N, K/16], e4m3; weight of FP4
//
// The config has one setting for all, and under names of modules others or false.
func openMLX(o *opener) error {
	c := o.config
	c.inert("quant_method linear_class quantization_config")
	def := mlxSettings{c.int("bits", 4), c.int("group_size", 64), c.string("mode", "affine")}
	for _, name := range o.modules(".scales") {
		m := o.module(name)
		s := def
		for _, key := range []string{name, strings.TrimPrefix(name, "model."), "model." + name} {
			if !c.has(key) {
				continue
			}
			switch string(c.keys[key]) {
			case "false":
				m.fail("the config says that it is not quantized, but it has scales")
			case "true":
				c.read[key] = true
			default:
				own := c.object(key)
				s = mlxSettings{own.int("bits", def.bits), own.int("group_size", def.group), own.string("mode", def.mode)}
				own.finish()
				c.join(own)
			}
			break
		}
		if c.err != nil {
			return c.err
		}
		if err := m.mlx(s); err != nil {
			return err
		}
	}
	if err := o.unstack(); err != nil {
		return err
	}
	for key, raw := range c.keys { // modules that are not quantized, or not there
		if s := string(raw); s == "false" || s == "true" || strings.Contains(key, ".") && json.Valid(raw) {
			c.read[key] = true
		}
	}
	return nil
}

type mlxSettings struct {
	bits, group int
	mode        string
}

func (m *module) mlx(s mlxSettings) error {
	w := m.tensor(".weight", -1, safetensors.U32)
	if m.err == nil && len(w.Shape) != 2 && len(w.Shape) != 3 {
		m.fail("weight has shape %v, must have 2 dimensions, or 3 of a stack", w.Shape)
	}
	if m.err != nil {
		return m.err
	}
	rank := len(w.Shape)
	words := w.Shape[rank-1]
	x := &stored.Codes{N: w.NumElems() / words, Bits: s.bits, Group: s.group}
	kind := fmt.Sprintf("mlx int%d", s.bits)
	var scale, bias *safetensors.Tensor
	var value func(c uint8) float32
	want := s.bits
	switch s.mode {
	case "affine":
		scale, bias = m.tensor(".scales", rank, scales...), m.tensor(".biases", rank, scales...)
		x.Offsets = true
	case "mxfp4":
		x.Table, want, value = fp4, 4, e8m0
	case "mxfp8":
		x.Table, want, value = e4m3Table, 8, e8m0
	case "nvfp4":
		x.Table, want, value = fp4, 4, func(c uint8) float32 { return e4m3[c] }
	default:
		m.unsupported("mode %.40q; affine, mxfp4, mxfp8 and nvfp4 are read", s.mode)
	}
	if value != nil {
		scale, kind = m.tensor(".scales", rank, safetensors.U8), "mlx "+s.mode
	}
	if s.bits < 2 || s.bits > 8 || s.bits == 7 || s.bits != want || words*32%max(1, s.bits) != 0 {
		m.fail("%d bits in rows of %d words, mode %s: is bits right?", s.bits, words, s.mode)
	}
	if m.err != nil {
		return m.err
	}
	x.K = words * 32 / s.bits
	x.Group, _ = m.groups(x.K, s.group)
	numbers := append(slices.Clone(w.Shape[:rank-1]), x.Groups())
	m.shape(scale, numbers...)
	if bias != nil {
		m.shape(bias, numbers...)
	}
	x.Read = func(r0, r1 int, b *stored.Block) error {
		p := make([]byte, 4*words*(r1-r0))
		if err := readAt(w, p, 4*words*r0); err != nil {
			return err
		}
		fields(b.Codes, p, 0, s.bits) // rows are whole words
		if value == nil {
			return errors.Join(bias.ReadPart(r0*x.Groups(), b.Offset), scale.ReadPart(r0*x.Groups(), b.Scale))
		}
		p = p[:len(b.Scale)]
		if err := readAt(scale, p, r0*x.Groups()); err != nil {
			return err
		}
		for i, c := range p {
			b.Scale[i] = value(c)
		}
		return nil
	}
	if rank == 3 {
		return m.addTensor(&stored.Tensor{Name: m.name + ".weight", Shape: []int{w.Shape[0], w.Shape[1], x.K}, Type: kind, File: w.File(), Codes: x})
	}
	return m.add(x, kind, w)
}
