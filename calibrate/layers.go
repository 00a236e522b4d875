package calibrate

import (
	"errors"

	"qpt/format/graph"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// layers multiply the rows of walks by weights (numerics N6.6). A weight is read and packed once for all parts, and kept until they have it behind them.
type layers struct {
	src     graph.Source
	params  map[string]graph.Param
	threads int
	packed  map[string]*linear.Shorts
}

func newLayers(src graph.Source, params map[string]graph.Param, threads int) *layers {
	return &layers{src, params, threads, map[string]*linear.Shorts{}}
}

// fast are the functions of calibration's walks.
func (l *layers) fast() ref.Fast {
	return ref.Fast{Linear: l.multiply, Unary: elem.Unary, Binary: elem.Binary, Times: elem.Times}
}

// multiply sets ys [M][N] to xs [M][K] W^T.
func (l *layers) multiply(weight string, ys, xs [][]float32) error {
	w := l.packed[weight]
	if w == nil {
		var err error
		if w, err = l.pack(weight); err != nil {
			return err
		}
		l.packed[weight] = w
	}
	n, k := l.params[weight].Shape[0], l.params[weight].Shape[1]
	rows := min(linear.ShortBlock(k), max((len(xs)+l.threads-1)/l.threads, 1)) // fewer read x more often
	blocks := (len(xs) + rows - 1) / rows
	across := max(l.threads/max(blocks, 1), 1)
	columns := (n/across + 31) &^ 31
	across = (n + columns - 1) / columns
	tiles(l.threads, blocks*across, 1, func(i, _ int) {
		m0, n0 := i/across*rows, i%across*columns
		m1 := min(m0+rows, len(xs))
		w.MatMul(ys[m0:m1], xs[m0:m1], n0, min(n0+columns, n))
	})
	return nil
}

// pack reads a weight.
func (l *layers) pack(weight string) (*linear.Shorts, error) {
	return l.fill(weight, func(n0, n1 int, dst []float32) error { return l.src.ReadRows(weight, n0, n1, dst) })
}

// take has a rounded weight whose columns were multiplied by scales (nil: 1) in place of what src would give.
func (l *layers) take(weight string, w *linear.Weight, scales []float32) {
	l.packed[weight], _ = l.fill(weight, func(n0, n1 int, dst []float32) error {
		Dequantize(dst, w, n0, n1)
		for ; scales != nil && len(dst) > 0; dst = dst[w.K:] {
			for k, s := range scales {
				dst[k] /= s
			}
		}
		return nil
	})
}

// fill packs the rows that read gives.
func (l *layers) fill(weight string, read func(n0, n1 int, dst []float32) error) (*linear.Shorts, error) {
	n, k := l.params[weight].Shape[0], l.params[weight].Shape[1]
	w := linear.NewShorts(n, k)
	const rows = 64
	errs := make([]error, (n+rows-1)/rows)
	tiles(l.threads, n, rows, func(n0, n1 int) {
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		if len(s.b) < rows*k {
			s.b = make([]float32, rows*k)
		}
		b := s.b[:(n1-n0)*k]
		if errs[n0/rows] = read(n0, n1, b); errs[n0/rows] == nil {
			w.Put(n0, b)
		}
	})
	return w, errors.Join(errs...)
}

// forget ends the use of a weight.
func (l *layers) forget(weight string) { delete(l.packed, weight) }
