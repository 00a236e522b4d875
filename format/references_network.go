package format

import (
	"fmt"
	"math"
	"unicode/utf8"

	"qpt/internal/num"
)

// Rows are what References of a network on tensors hold: rows of its inputs as codes of 8 bits, each row with a range of its own, and the results
// that the FP32 model has for exactly these numbers.
type Rows struct {
	N       int
	Inputs  []RowsInput // of the graph, all of them
	Outputs []RowsOutput
}

// RowsInput is one input.
type RowsInput struct {
	Name      string
	Shape     []int     // of a row
	Low, High []float32 // [N] what codes 0 and 255 stand for
	Codes     []byte    // [N, Shape..]
}

// RowsOutput is one output, or a sample of it.
type RowsOutput struct {
	Name   string
	Size   int       // values of a row
	At     []int32   // rising places in a row whose values are kept; nil: all
	Values []float32 // [N, kept]
}

// NewRowsInput makes codes of rows x [n, shape..], which must be finite.
func NewRowsInput(name string, shape []int, x []float32) RowsInput {
	in := RowsInput{Name: name, Shape: shape, Codes: make([]byte, len(x))}
	size := elements(shape)
	for r := 0; r < len(x); r += size {
		lo, hi := x[r], x[r]
		for _, v := range x[r : r+size] {
			lo, hi = min(lo, v), max(hi, v)
		}
		in.Low, in.High = append(in.Low, lo), append(in.High, hi)
		if lo < hi {
			for i, v := range x[r : r+size] {
				in.Codes[r+i] = byte(math.RoundToEven((float64(v) - float64(lo)) / (float64(hi) - float64(lo)) * 255))
			}
		}
	}
	return in
}

// Row is row r: (Low*(255-code) + High*code) / 255 in float64, rounded to float32.
func (in *RowsInput) Row(r int) []float32 {
	size := elements(in.Shape)
	x := make([]float32, size)
	lo, hi := float64(in.Low[r]), float64(in.High[r])
	for i, u := range in.Codes[r*size : (r+1)*size] {
		x[i] = float32((float64(lo*float64(255-u)) + float64(hi*float64(u))) / 255)
	}
	return x
}

// Kept is how many values of a row the file has.
func (o *RowsOutput) Kept() int {
	if o.At != nil {
		return len(o.At)
	}
	return o.Size
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

const (
	rowsForm    = 3
	maxRefRows  = 1 << 16 // rows of a network
	maxRowSize  = 1 << 28 // values of a row
	maxRefNames = 1 << 12 // inputs or outputs
	maxRowRank  = 8
)

func (w *Rows) check() error {
	bad := func(s string, v ...any) error { return fmt.Errorf("%w: %s", ErrReferences, fmt.Sprintf(s, v...)) }
	if w.N < 1 || w.N > maxRefRows || len(w.Inputs) == 0 || len(w.Outputs) == 0 || len(w.Inputs) > maxRefNames || len(w.Outputs) > maxRefNames {
		return bad("%d rows of %d inputs and %d outputs", w.N, len(w.Inputs), len(w.Outputs))
	}
	named := func(name string, shape ...int) error {
		if name == "" || len(name) > maxOutput || !utf8.ValidString(name) {
			return bad("the name %.40q is empty, not UTF-8, or longer than %d bytes", name, maxOutput)
		}
		if _, err := rowSize(shape); err != nil {
			return bad("%s: %v", name, err)
		}
		return nil
	}
	for _, in := range w.Inputs {
		if err := named(in.Name, in.Shape...); err != nil {
			return err
		}
		if len(in.Low) != w.N || len(in.High) != w.N || len(in.Codes) != w.N*elements(in.Shape) {
			return bad("input %s: %d codes and %d, %d ends of %d rows %v", in.Name, len(in.Codes), len(in.Low), len(in.High), w.N, in.Shape)
		}
		for r, lo := range in.Low {
			if hi := in.High[r]; !num.Finite(lo) || !num.Finite(hi) || lo > hi {
				return bad("input %s: row %d is from %g to %g", in.Name, r, lo, hi)
			}
		}
	}
	for _, o := range w.Outputs {
		if err := named(o.Name, o.Size); err != nil {
			return err
		}
		if o.Kept() < 1 || len(o.Values) != w.N*o.Kept() {
			return bad("output %s: %d values of %d rows of %d", o.Name, len(o.Values), w.N, o.Size)
		}
		last := int32(-1)
		for _, at := range o.At {
			if at <= last || int(at) >= o.Size {
				return bad("output %s: places must rise and be below %d, %d is behind %d", o.Name, o.Size, at, last)
			}
			last = at
		}
		for i, x := range o.Values {
			if !num.Finite(x) {
				return bad("output %s: value %d is %g", o.Name, i, x)
			}
		}
	}
	return nil
}

// rowSize multiplies the extents of a row.
func rowSize(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 1 || d > maxRowSize/n {
			return 0, fmt.Errorf("a row of shape %v", shape)
		}
		n *= d
	}
	if len(shape) > maxRowRank {
		return 0, fmt.Errorf("a row of %d dimensions, at most %d", len(shape), maxRowRank)
	}
	return n, nil
}

// encode gives u32 form, rows, inputs and outputs; then of each input u32 bytes of the name and rank, the name, u32 extents, f32 lows, f32 highs and the codes;
// and of each output u32 bytes of the name, values of a row and places (0: all), the name, u32 places, f32 values.
func (w *Rows) encode() []byte {
	var b []byte
	put := func(list ...int) {
		for _, n := range list {
			b = le.AppendUint32(b, uint32(n))
		}
	}
	put(rowsForm, w.N, len(w.Inputs), len(w.Outputs))
	for _, in := range w.Inputs {
		put(len(in.Name), len(in.Shape))
		b = append(b, in.Name...)
		put(in.Shape...)
		b = append(appendFloats(appendFloats(b, in.Low), in.High), in.Codes...)
	}
	for _, o := range w.Outputs {
		put(len(o.Name), o.Size, len(o.At))
		b = append(b, o.Name...)
		b = appendFloats(appendInts(b, o.At), o.Values)
	}
	return b
}

// decodeRows reads what follows the form.
func decodeRows(c *cutter) (*Rows, error) {
	most := func(n uint64, limit uint64) uint64 {
		if n > limit {
			c.fail("%d of something, at most %d", n, limit)
		}
		return min(n, limit)
	}
	h := c.words(3)
	n := most(h[0], maxRefRows)
	w := &Rows{N: int(n)}
	for range most(h[1], maxRefNames) {
		h := c.words(2)
		in := RowsInput{Name: string(c.bytes(h[0])), Shape: make([]int, most(h[1], maxRowRank))}
		for i, d := range c.words(len(in.Shape)) {
			in.Shape[i] = int(d)
		}
		size, bad := rowSize(in.Shape)
		if bad != nil {
			c.fail("%s: %w", in.Name, bad)
		}
		in.Low, in.High, in.Codes = c.floats(n), c.floats(n), c.bytes(n*uint64(size))
		if c.err != nil {
			return nil, c.err
		}
		w.Inputs = append(w.Inputs, in)
	}
	for range most(h[2], maxRefNames) {
		h := c.words(3)
		o := RowsOutput{Name: string(c.bytes(h[0])), Size: int(h[1])}
		kept := h[1]
		if h[2] > 0 {
			o.At, kept = c.ints(h[2]), h[2]
		}
		o.Values = c.floats(n * kept) // below 2^49
		if c.err != nil {
			return nil, c.err
		}
		w.Outputs = append(w.Outputs, o)
	}
	if err := c.end(); err != nil {
		return nil, err
	}
	return w, w.check()
}
