package quantized

import (
	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openBitNet reads weights of -1, 0 and 1 as transformers packs them:
//
//	weight U8 [N/4, K]    rows r, r + N/4, r + N/2 and r + 3N/4 in two bits each, the first in the low ones, each plus 1
//	weight_scale [1]      value = code / weight_scale, of the class autobitlinear code * weight_scale
//
// Weights that are rounded while running (quantization_mode online) are plain ones, and are not read.
func openBitNet(o *opener) error {
	c := o.config
	c.inert("quant_method modules_to_not_convert rms_norm_eps")
	c.off("norms that the config puts before layers are not read", "use_rms_norm")
	if mode := c.string("quantization_mode", "offline"); mode != "offline" {
		c.unsupported("quantization_mode", "%.40q: weights that are rounded while running are not read: give the packed checkpoint (offline)", mode)
	}
	class := c.string("linear_class", "bitlinear")
	if class != "bitlinear" && class != "autobitlinear" {
		c.unsupported("linear_class", "%.40q; bitlinear and autobitlinear are known", class)
	}
	if c.err != nil {
		return c.err
	}
	for _, name := range o.modules(".weight_scale") {
		m := o.module(name)
		w := m.tensor(".weight", 2, safetensors.U8)
		scale := m.tensor(".weight_scale", -1, scales...)
		if m.err != nil {
			return m.err
		}
		v, err := numbers(scale)
		if err != nil || len(v) != 1 || !(v[0] > 0) || v[0]-v[0] != 0 {
			m.fail("weight_scale is %v, must be one positive number", v)
			return m.err
		}
		if class == "bitlinear" {
			v[0] = 1 / v[0]
		}
		quarter := w.Shape[0]
		x := &stored.Codes{N: 4 * quarter, K: w.Shape[1], Bits: 2, Zero: 1, Group: w.Shape[1], Acts: "int8 a token, 127 for the greatest"}
		x.Read = func(r0, r1 int, b *stored.Block) error {
			for r := r0; r < r1; r++ {
				dst := b.Codes[(r-r0)*x.K : (r-r0+1)*x.K]
				if err := readAt(w, dst, r%quarter*x.K); err != nil {
					return err
				}
				for i, c := range dst {
					dst[i] = c >> (r / quarter * 2) & 3
				}
				b.Scale[r-r0] = v[0]
			}
			return nil
		}
		if err := m.add(x, "bitnet", w); err != nil {
			return err
		}
	}
	return nil
}
