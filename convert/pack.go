package convert

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"qpt/calibrate"
	"qpt/convert/safetensors"
	"qpt/convert/stored"
	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
)

// rowsOf is rows r0 to r0+n-1 of w, without Data; r0 is a multiple of 16.
func rowsOf(w *linear.Weight, r0, n int) linear.Weight {
	b0, b1, blocks := r0/16, (r0+n+15)/16, w.Blocks()
	c := *w
	c.N = n
	c.Groups = w.Groups[len(w.Groups)/blocks*b0 : len(w.Groups)/blocks*b1]
	c.GroupScale = w.GroupScale[len(w.GroupScale)/blocks*b0 : len(w.GroupScale)/blocks*b1]
	c.Scale = w.Scale[len(w.Scale)/blocks*b0 : len(w.Scale)/blocks*b1]
	c.Sum = w.Sum[len(w.Sum)/blocks*b0 : len(w.Sum)/blocks*b1]
	c.WildData = w.WildData[len(w.WildData)/blocks*b0 : len(w.WildData)/blocks*b1]
	return c
}

// worker is what one goroutine needs to pack rows of a matrix.
type worker struct {
	name   string
	src    graph.Source
	stored *safetensors.Tensor // what src reads, nil if it changes it
	cal    *calibration        // or nil
	done   *linear.Weight      // the rows rounded by calibration, or nil
	hqq    bool                // rows with groups are rounded by calibrate.Nearest
	q      *quant.Quantizer
	f32    []float32 // [16][K]
	raw    []byte    // [16][K] bfloat16
}

// block packs rows r0.. of the checkpoint into block b of dst.
func (w *worker) block(dst *linear.Weight, b, r0 int) (e quant.Error, err error) {
	n := min(16, dst.N-16*b)
	if w.stored != nil && w.stored.DType == safetensors.BF16 && w.cal == nil && !w.hqq && dst.Wild == nil && dst.Format != linear.F32 && dst.K%2 == 0 {
		return w.blockBF16(dst, b, r0, n)
	}
	w.f32 = slices.Grow(w.f32[:0], n*dst.K)[:n*dst.K]
	if err := w.src.ReadRows(w.name, r0, r0+n, w.f32); err != nil {
		return e, err
	}
	if w.cal != nil {
		w.cal.Source.Apply(w.name, r0, r0+n, w.f32)
		if w.done != nil {
			takeWild(dst, b, w.f32) // they have no part in the error
			return copyBlock(dst, b, w.done, r0/16, w.f32), nil
		}
	}
	if dst.Format == linear.F32 || dst.Format == linear.BF16 {
		return packFloats(dst, b, w.f32), nil
	}
	takeWild(dst, b, w.f32)
	if e = w.q.Block(dst, b, w.f32); w.hqq && w.checkSquares(e, r0, n, dst.K) == nil {
		e = copyBlock(dst, b, calibrate.Nearest(w.f32, dst.K, calibrate.Target{Format: dst.Format, Group: dst.Group}), 0, w.f32)
	}
	return e, w.checkSquares(e, r0, n, dst.K)
}

// blockBF16 is block straight from stored bfloat16, K even.
func (w *worker) blockBF16(dst *linear.Weight, b, r0, n int) (e quant.Error, err error) {
	w.raw = slices.Grow(w.raw[:0], n*dst.K*2)[:n*dst.K*2]
	if _, err := w.stored.ReadAt(w.raw, int64(r0)*int64(dst.K)*2); err == io.EOF { // truncated since it was opened
		return e, fmt.Errorf("%s: tensor %q: %w", w.stored.File(), w.name, io.ErrUnexpectedEOF)
	} else if err != nil {
		return e, err
	}
	if dst.Format != linear.BF16 {
		e = w.q.BlockBF16(dst, b, w.raw)
		return e, w.checkSquares(e, r0, n, dst.K)
	}
	dst.PutBF16Block(b, w.raw)
	// Two values at a time: an exponent of all ones carries into the sign's place.
	var carry uint32
	for i := 0; i+4 <= len(w.raw); i += 4 {
		carry |= binary.LittleEndian.Uint32(w.raw[i:])&0x7f807f80 + 0x00800080
	}
	if carry&0x80008000 != 0 {
		err = w.notFinite(r0, n, dst.K)
	}
	return e, err
}

// checkSquares refuses rows whose sum of squares, or range (N5), is no number (numerics N2.4).
func (w *worker) checkSquares(e quant.Error, r0, n, k int) error {
	if e.Signal-e.Signal == 0 {
		return nil
	}
	if err := w.notFinite(r0, n, k); err != nil {
		return err
	}
	return fmt.Errorf("%w: tensor %q: the range or the squares of one of the rows %d to %d overflow float32: weights must be smaller (repair or re-export the checkpoint)",
		ErrInput, w.name, r0, r0+n-1)
}

// notFinite finds the first value that is none in rows r0 to r0+n-1.
func (w *worker) notFinite(r0, n, k int) error {
	return w.src.ReadRows(w.name, r0, r0+n, make([]float32, n*k))
}

// packFloats packs rows into block b of a float layer.
func packFloats(dst *linear.Weight, b int, rows []float32) (e quant.Error) {
	if dst.Format == linear.BF16 {
		for _, v := range rows {
			d := float64(v) - float64(num.FromBF16(num.BF16(v)))
			e.Add(quant.Error{Signal: float64(v) * float64(v), Noise: float64(d * d)})
		}
	}
	stride := len(dst.Data) / dst.Blocks()
	clear(dst.Data[b*stride:][:stride])
	dst.PutFloatRows(16*b, rows, len(rows)/dst.K)
	return e
}

// readFinite reads rows and refuses NaN and infinities (numerics N2.4).
func readFinite(t *stored.Tensor, r0, r1 int, dst []float32) error {
	if err := t.ReadRows(r0, r1, dst); err != nil {
		return err
	}
	return checkFinite(t, r0*rowLength(t), dst)
}

// checkFinite refuses NaN and infinities among the values of t from from on.
func checkFinite(t *stored.Tensor, from int, values []float32) error {
	if elem.AbsMax(values) <= math.Float32bits(math.MaxFloat32) {
		return nil
	}
	for i, v := range values {
		if v-v != 0 {
			i += from
			return fmt.Errorf("%w: tensor %q: value %d of row %d is %v: weights must be finite (repair or re-export the checkpoint)",
				ErrInput, t.Name, i%rowLength(t), i/rowLength(t), v)
		}
	}
	return nil
}

// rowLength is the values of a row, 1 of a vector.
func rowLength(t *stored.Tensor) int {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Values() / max(1, t.Shape[0])
}

// rounder rounds to the dtype of the checkpoint, for the compatibility modes.
func rounder(d safetensors.DType) func(float32) float32 {
	switch d {
	case safetensors.BF16:
		return func(x float32) float32 { return num.FromBF16(num.BF16(x)) }
	case safetensors.F16:
		return func(x float32) float32 { return num.FromF16(num.F16(x)) }
	}
	return nil
}
