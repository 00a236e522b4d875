package lm

import (
	"context"
	"math"

	"qpt/format/graph"
)

// Embed returns for each sequence of ids the last hidden state [D] of its last token, scaled to length 1: what vLLM
// and llama-server make embeddings of a generative model of. Sequences run many in a pass, without padding and
// without pages of keys and values; each gives the bits that it gives alone.
func (m *Model) Embed(ctx context.Context, list [][]int32) ([][]float32, error) {
	p, err := m.LastHidden()
	if err != nil {
		return nil, err
	}
	out := make([][]float32, 0, len(list))
	for len(list) > 0 {
		n, rows, most := 0, 0, m.PassRows()
		for n < len(list) && (n == 0 || rows+len(list[n]) <= most) {
			rows += len(list[n])
			n++
		}
		var b graph.Batch
		var ids []int32
		for _, s := range list[:n] {
			b.Parts = append(b.Parts, graph.Part{N: len(s), Rows: []int32{int32(len(s) - 1)}})
			ids = append(ids, s...)
		}
		b.Inputs = map[string]graph.Tensor{"ids": {Shape: []int{rows}, I: ids}}
		err := m.Pass(ctx, p, &b, func(y []graph.Tensor) error {
			width := y[0].Shape[1]
			for i := range n {
				out = append(out, Normalized(y[0].F[i*width:(i+1)*width]))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		list = list[n:]
	}
	return out, nil
}

// Normalized is x scaled to length 1; zeros stay.
func Normalized(x []float32) []float32 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	y := make([]float32, len(x))
	for i, v := range x {
		if sum > 0 {
			y[i] = float32(float64(v) / math.Sqrt(sum))
		}
	}
	return y
}
