package quantized

import (
	"errors"
	"fmt"
	"slices"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// openHQQ reads HQQLinear's state as transformers 4 saved it. The matrix [N, K] is seen as [N*K/g, g] (axis 1) or as
// [g, N*K/g] (axis 0), and its rows are packed in slices: with 4 bits row r of W_q holds row r in the high bits and row
// r+R/2 in the low ones; with 2 bits four slices, with 1 eight, with 3 ten in I32, the first highest; 5 and 6 bits lie as 8 do. value = (code - zero) * scale, where
// zero is a number with a fraction; both steps round.
func openHQQ(o *opener) error {
	o.config.inert("quant_config skip_modules quant_method dynamic_config")
	for _, name := range o.modules(".W_q") {
		if err := o.hqq(name); err != nil {
			return err
		}
	}
	return nil
}

// hqq are the values of a matrix.
type hqq struct {
	w            *safetensors.Tensor // [perSlice, width]
	scale, zero  *safetensors.Tensor
	n, k         int
	bits, group  int
	axis, slices int
	perSlice     int // rows of W_q
}

func (o *opener) hqq(name string) error {
	m := o.module(name)
	m.drop(".channel_wise", ".compute_dtype", ".encoded_state_dict", ".offload_meta", ".optimize", ".packing", ".quant_scale", ".quant_zero",
		".round_zero", ".stores_quant_config", ".unpack_view_dtype", ".view_as_float")
	w := m.tensor(".W_q", 2, safetensors.U8, safetensors.I32)
	scale, zero := m.tensor(".scale", 2, scales...), m.tensor(".zero", 2, scales...)
	one := func(suffix string) int {
		t := m.tensor(suffix, -1, safetensors.I32, safetensors.I64)
		if m.err != nil {
			return 0
		}
		v, err := numbers(t)
		if err != nil || len(v) != 1 || v[0] < 0 || v[0] > 1<<20 {
			m.fail("%s is %v, must be one size", suffix[1:], v)
			return 0
		}
		return int(v[0])
	}
	x := &hqq{w: w, scale: scale, zero: zero, bits: one(".nbits"), group: one(".group_size"), axis: one(".axis")}
	shape := m.tensor(".shape", 1, safetensors.I64, safetensors.I32)
	if m.err != nil {
		return m.err
	}
	for _, flag := range []string{".quant_scale", ".quant_zero", ".view_as_float"} {
		if t, ok := o.from.Tensor(name + flag); ok {
			if p, err := bytesOf(t); err != nil || slices.ContainsFunc(p, func(b byte) bool { return b != 0 }) {
				m.unsupported("%s is set: save the model without", flag[1:])
			}
		}
	}
	dims, err := numbers(shape)
	if err != nil || len(dims) != 2 || dims[0] < 1 || dims[1] < 1 || dims[0] > 1<<24 || dims[1] > 1<<24 {
		m.fail("shape is %v, must be two sizes", dims)
		return m.err
	}
	x.n, x.k = int(dims[0]), int(dims[1])
	x.slices = map[int]int{8: 1, 6: 1, 5: 1, 4: 2, 3: 10, 2: 4, 1: 8}[x.bits]
	wide := w.DType == safetensors.I32
	switch {
	case x.slices == 0 || wide != (x.bits == 3):
		m.unsupported("%d bits in %v; 1 to 6 and 8 bits are read", x.bits, w.DType)
	case x.group < 1 || x.n*x.k%x.group != 0:
		m.fail("groups of %d do not divide %d x %d", x.group, x.n, x.k)
	case x.axis > 1:
		m.fail("axis is %d, must be 0 or 1", x.axis)
	}
	if m.err != nil {
		return m.err
	}
	lines, width := x.n*x.k/x.group, x.group // of the matrix as it is seen
	params := []int{lines, 1}
	if x.axis == 0 {
		lines, width = width, lines
		params = []int{1, width}
	}
	x.perSlice = (lines + x.slices - 1) / x.slices
	m.shape(w, x.perSlice, width)
	m.shape(scale, params...)
	m.shape(zero, params...)
	if m.err != nil {
		return m.err
	}
	t := &stored.Tensor{Name: name + ".weight", Shape: []int{x.n, x.k}, Type: fmt.Sprintf("hqq int%d", x.bits), File: w.File(), Numbers: x}
	if ok, err := x.asCodes(); err != nil {
		return err
	} else if ok {
		t.Codes = &stored.Codes{N: x.n, K: x.k, Bits: max(x.bits, 2), Group: x.group, Offsets: true, Read: x.read}
	} else {
		t.Inexact = true
	}
	return m.addTensor(t)
}

// asCodes says whether code*scale - zero*scale has the same bits as the values: groups are runs of a row, and no code - zero rounds,
// so that both are the exact value rounded once (both products have less than 24 bits where scales and zeros are of 11).
func (x *hqq) asCodes() (bool, error) {
	if x.axis == 0 || x.k%x.group != 0 || x.group < 16 && x.group != x.k || x.scale.DType == safetensors.F32 || x.zero.DType == safetensors.F32 {
		return false, nil
	}
	zero := make([]float32, hqqRun)
	for from, n := 0, x.zero.NumElems(); from < n; from += len(zero) {
		zero = zero[:min(len(zero), n-from)]
		if err := x.zero.ReadPart(from, zero); err != nil {
			return false, err
		}
		for _, z := range zero {
			for _, c := range []float64{0, float64(int(1)<<x.bits - 1)} { // the farthest
				if d := c - float64(z); float64(float32(d)) != d {
					return false, nil
				}
			}
		}
	}
	return true, nil
}

// read implements stored.Codes.Read.
func (x *hqq) read(r0, r1 int, b *stored.Block) error {
	groups := x.k / x.group
	if err := errors.Join(x.codes(r0*x.k, b.Codes), x.scale.ReadPart(r0*groups, b.Scale), x.zero.ReadPart(r0*groups, b.Offset)); err != nil {
		return err
	}
	for i, z := range b.Offset {
		b.Offset[i] = -float32(z * b.Scale[i])
	}
	return nil
}

// codes reads those of numbers from one on.
func (x *hqq) codes(from int, dst []uint8) error {
	width, size := x.w.Shape[1], x.w.DType.Bits()/8
	for len(dst) > 0 { // the numbers of a slice lie one after the other
		slice := from / (x.perSlice * width)
		at := from - slice*x.perSlice*width
		n := min(len(dst), x.perSlice*width-at, hqqRun)
		raw := make([]byte, n*size)
		if err := readAt(x.w, raw, at*size); err != nil {
			return err
		}
		shift := x.bits * (x.slices - 1 - slice)
		for i := range n {
			c := uint32(raw[i*size])
			if size == 4 {
				c = word(raw, i)
			}
			dst[i] = uint8(c >> shift & (1<<x.bits - 1))
		}
		dst, from = dst[n:], from+n
	}
	return nil
}

// ReadRows implements stored.Numbers.
func (x *hqq) ReadRows(r0, r1 int, dst []float32) error {
	return x.ReadPart(r0*x.k, dst)
}

// hqqRun bounds what is read at once, in numbers.
const hqqRun = 1 << 16

// ReadPart implements stored.Numbers.
func (x *hqq) ReadPart(from int, dst []float32) error {
	width := x.w.Shape[1]
	for len(dst) > 0 {
		n := min(len(dst), hqqRun)
		p0, of := from/width, func(i int) int { return (from+i)/width - from/width }
		if x.axis == 0 {
			n = min(n, width-from%width)
			p0, of = from%width, func(i int) int { return i }
		}
		codes := make([]uint8, n)
		scale, zero := make([]float32, of(n-1)+1), make([]float32, of(n-1)+1)
		if err := errors.Join(x.codes(from, codes), x.scale.ReadPart(p0, scale), x.zero.ReadPart(p0, zero)); err != nil {
			return err
		}
		for i, c := range codes {
			p := of(i)
			v := float32(c) - zero[p]
			if dst[i] = float32(v * scale[p]); dst[i]-dst[i] != 0 {
				return fmt.Errorf("%s: %w: %.200q: scale %v, zero %v: must be finite", x.w.File(), ErrInput, x.w.Name, scale[p], zero[p])
			}
		}
		dst, from = dst[n:], from+n
	}
	return nil
}
