package convert

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"qpt/calibrate"
	"qpt/convert/export"
	"qpt/convert/stored"
	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/internal/par"
	"qpt/kernels/linear"
)

// Scheme keep: codes, scales and offsets as the checkpoint has them (numerics N10); matrices of numbers stay float32.

// KeptInputs are the ways to have inputs of kept codes other than the checkpoint asks: as they are, or int16 or int8 a token, which is faster and less exact.
var KeptInputs = []string{"exact", "int16", "int8"}

// keptCodes is a matrix of codes on its way: row i is row rows(i) of the tensor.
type keptCodes struct {
	*stored.Codes
	name string
	rows func(i int) int // nil: i
	n    int
}

// inexactReason is why a quantized matrix is kept as numbers, all of its bits.
const inexactReason = "no codes with a scale a group hold it"

// keep plans a matrix of scheme keep.
func (p *Plan) keep(it *Item, param graph.Param, t *stored.Tensor) error {
	if t != nil && t.Scale != nil && p.readsStatic(param.Name) {
		it.Scheme, it.Format, it.Group, it.scale = "s8s8", format.I8, 0, t.Scale
		var err error
		it.Bytes, err = sizeOf(linear.I8, it.Shape, 0)
		return err
	}
	view := param.View
	if t != nil && t.Inexact {
		it.Reason = inexactReason
	}
	if view != nil && t != nil && view.Of == t.Name {
		if _, ok := view.Row(0); !ok {
			view = nil
			it.Reason = "it is a part of a turned matrix"
		}
	}
	if t == nil || t.Codes == nil || p.turned != nil || it.Reason != "" {
		it.Scheme, it.Format, it.Group = "f32", format.F32, 0
		var err error
		it.Bytes, err = sizeOf(linear.F32, it.Shape, 0)
		return err
	}
	codes := *t.Codes
	switch p.Recipe.Inputs {
	case "exact":
		codes.Acts = stored.AsTheyAre
	case "int16":
		codes.Acts = stored.Int16
	case "int8":
		codes.Acts = stored.Int8PerToken
	default:
		if p.absorbed(t.Name) {
			codes.Acts = stored.AsTheyAre
		}
	}
	c := &keptCodes{Codes: &codes, name: t.Name, n: it.Shape[0]}
	if view != nil {
		c.rows = func(i int) int { row, _ := view.Row(i); return row }
	}
	it.codes, it.Scheme, it.Format, it.Group = c, "keep", format.Codes, t.Codes.Group
	first, err := c.pack(min(c.n, 16), 1, nil)
	if err != nil {
		return fmt.Errorf("%s: tensor %q: %w", t.File, t.Name, err)
	}
	first.Coded.Scale.Data, first.Coded.Offset.Data = nil, nil // for their forms alone
	sizes, err := first.Coded.Sizes(c.n, c.K, c.Group)
	it.Bytes = int64(sizes.Data + sizes.Zeros + sizes.Scale + 4*sizes.ScaleSuper + sizes.Offset + 4*sizes.OffsetSuper)
	return err
}

// absorbed tells whether a matrix is multiplied by something else than the layer's input, which the checkpoint's rule for inputs means: parts of it are
// taken into the queries and into the sums of values (latent attention).
func (p *Plan) absorbed(tensor string) bool {
	return slices.ContainsFunc(p.graph.Params, func(param graph.Param) bool {
		return param.View != nil && param.View.Of == tensor && param.View.Transpose && param.View.Columns
	})
}

// readsStatic tells whether all layers with this weight read values that the checkpoint keeps as codes.
func (p *Plan) readsStatic(weight string) bool {
	for i := range p.graph.Nodes {
		for _, m := range p.graph.Nodes[i].Linears() {
			if m.Weight == weight && !slices.ContainsFunc(p.folder.Static, func(s export.Static) bool { return s.Value == m.Input }) {
				return false
			}
		}
	}
	return true
}

// keptStatic are the static activations of the checkpoint, which come in as they are.
func (p *Plan) keptStatic() *calibration {
	c := &calibration{Result: &calibrate.Result{Source: &calibrate.Folded{Source: p.src}}}
	for _, s := range p.folder.Static {
		c.static = append(c.static, format.Activation{Value: s.Value, Scale: s.Scale, Zero: s.Zero, Observer: "checkpoint", Min: float32(-s.Zero) * s.Scale, Max: float32(255-s.Zero) * s.Scale, Stored: true})
	}
	return c
}

// read reads rows r0 to r1-1.
func (c *keptCodes) read(r0, r1 int, b *stored.Block) error {
	from := r0
	if c.rows != nil {
		if from = c.rows(r0); c.rows(r1-1) != from+r1-1-r0 {
			return c.readApart(r0, r1, b)
		}
	}
	return c.ReadBlock(from, from+r1-r0, b)
}

// readApart reads rows that do not lie together.
func (c *keptCodes) readApart(r0, r1 int, b *stored.Block) error {
	c.Block(0, b)
	var one stored.Block
	for r := r0; r < r1; r++ {
		if err := c.ReadBlock(c.rows(r), c.rows(r)+1, &one); err != nil {
			return err
		}
		b.Codes, b.Scale = append(b.Codes, one.Codes...), append(b.Scale, one.Scale...)
		b.Offset, b.Zeros = append(b.Offset, one.Offset...), append(b.Zeros, one.Zeros...)
	}
	return nil
}

// description is what the codes are, without numbers.
func (c *keptCodes) description() *linear.Coded {
	d := &linear.Coded{Bits: c.Bits, Zero: c.Zero, Factor: c.Factor, Order: c.Order}
	for q, v := range c.Table {
		if !num.Finite(v) { // e4m3 has NaN, which no weight may be
			v = linear.E4M3(byte(q))
		}
		d.Table = append(d.Table, v)
	}
	if kind, err := linear.ParseRounding(string(c.Acts)); err == nil { // others are told in a note
		if d.Round.Kind = kind; kind.Static() {
			d.Round.Scale, d.Round.Zero = c.ActScale, c.ActZero
		}
	}
	return d
}

// keepBuffer is how much of Data is packed before it is written.
const keepBuffer = 16 << 20

// pack packs the first n rows whole, and chooses the form of their numbers. put, if set, takes Data in parts, in order, each of some blocks.
func (c *keptCodes) pack(n, threads int, put func(blocks int, fill func(data []byte) error) error) (*linear.Weight, error) {
	w := &linear.Weight{Format: linear.Codes, N: n, K: c.K, Group: c.Group, Coded: c.description()}
	size := num.Pad(n, 16) * c.Groups()
	scale, offset := make([]float32, size), []float32(nil)
	if c.Offsets {
		offset = make([]float32, size)
	}
	if c.Zeros {
		w.Coded.Zeros = make([]byte, size)
	}
	stride := num.Pad(c.K, 32) * 2 * c.Bits
	if put == nil {
		put = func(blocks int, fill func([]byte) error) error { return fill(make([]byte, blocks*stride)) }
	}
	per := max(1, keepBuffer/stride)
	for b0 := 0; b0 < w.Blocks(); b0 += per {
		blocks := min(per, w.Blocks()-b0)
		err := put(blocks, func(data []byte) error {
			clear(data)
			errs := make([]error, blocks)
			work := make([]stored.Block, threads)
			par.For(threads, blocks, func(worker, i int) {
				errs[i] = c.block(w, b0+i, data[i*stride:][:stride], &work[worker], scale, offset)
			})
			return errors.Join(errs...)
		})
		if err != nil {
			return nil, err
		}
	}
	w.Coded.Scale = numbersOf(scale, n, c.Groups(), c.Group)
	if c.Offsets {
		w.Coded.Offset = numbersOf(offset, n, c.Groups(), c.Group)
	}
	return w, nil
}

// block packs rows 16b.. into block b: codes to data, numbers to [Np/16][G][16].
func (c *keptCodes) block(w *linear.Weight, b int, data []byte, work *stored.Block, scale, offset []float32) error {
	rows, groups := min(16, w.N-16*b), c.Groups()
	if err := c.read(16*b, 16*b+rows, work); err != nil {
		return err
	}
	one := linear.Weight{Format: linear.Codes, N: rows, K: c.K, Group: c.Group, Coded: w.Coded, Data: data}
	for r := range rows {
		codes := work.Codes[r*c.K:][:c.K]
		if c.Table != nil {
			for j, q := range codes {
				if !num.Finite(c.Table[q]) {
					return fmt.Errorf("%w: the weight of row %d, place %d is %v, must be finite", stored.ErrCodes, 16*b+r, j, c.Table[q])
				}
			}
		}
		one.PutCodes(r, codes)
		for g := range groups {
			at := (b*groups+g)*16 + r
			scale[at] = work.Scale[r*groups+g]
			if c.Offsets {
				offset[at] = work.Offset[r*groups+g]
			}
			if c.Zeros {
				w.Coded.Zeros[at] = work.Zeros[r*groups+g]
			}
		}
	}
	return nil
}

// keepTensor writes the parts of a matrix of codes.
func (p *Plan) keepTensor(ctx context.Context, s *stream, it *Item, t *format.Tensor, progress func(rows int)) error {
	c := it.codes
	stride := num.Pad(c.K, 32) * 2 * c.Bits
	t.Parts = append(t.Parts, s.place(format.RoleData, stride*((c.n+15)/16)))
	first := true
	w, err := c.pack(c.n, p.Opt.Threads, func(blocks int, fill func([]byte) error) error {
		if err := errors.Join(ctx.Err(), s.err()); err != nil {
			return err
		}
		data := s.buffer(blocks * stride)
		err := fill(data)
		s.putBuffer(data, first)
		first = false
		progress(min(16*blocks, c.n))
		return err
	})
	if err != nil {
		return fmt.Errorf("tensor %q: %w", c.name, err)
	}
	k := w.Coded
	t.Codes = &format.CodeInfo{Bits: k.Bits, Zero: k.Zero, Factor: k.Factor, Scale: k.Scale.Form.String(), Source: it.Source,
		Inputs: k.Round.Kind.String(), InputScale: k.Round.Scale, InputZero: k.Round.Zero}
	if c.Offsets {
		t.Codes.Offset = k.Offset.Form.String()
	}
	for _, part := range []struct {
		role format.Role
		b    []byte
	}{
		{format.RoleGroups, k.Zeros}, {format.RoleGScale, k.Scale.Data}, {format.RoleSuper, num.BytesOf(k.Scale.Super)},
		{format.RoleGOffset, k.Offset.Data}, {format.RoleSuperOffs, num.BytesOf(k.Offset.Super)},
		{format.RoleTable, num.BytesOf(k.Table)}, {format.RoleOrder, num.BytesOf(k.Order)},
	} {
		if len(part.b) > 0 {
			t.Parts = append(t.Parts, s.put(part.role, part.b))
		}
	}
	return nil
}
