package calibrate

import (
	"cmp"
	"fmt"

	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// Adaptive rounding of the int8 weights of a network on tensors: the codes of a row need not be the nearest ones if others give results that are nearer to
// FP32's on calibration data. The objective is AdaRound's (Nagel et al., arXiv 2004.10568, equations 20 and 21), (w-q) H (w-q)^T with H the second moments of the patches
// that the rounded network sees. It is lowered as in Run: by error feedback (gptq), then code by code with the scale refitted (descent), in place of the paper's
// relaxed variables and gradient steps, and codes may move as far as they like. With correct, w is first what comes nearest to FP32's results from these inputs.

// Rounding is how weights are rounded on data.
type Rounding struct {
	GPTQ, Correct bool
	Sweeps        int     // of the descent
	Damp          float64 // of gptq and correct; 0: 0.01
	// Weights takes the packed weights, by param.
	Weights map[string]*linear.Weight
}

// roundPatches is how many patches of a layer are looked at, roundMost for wide ones.
const (
	roundPatches = 4096
	roundMost    = 1 << 15
)

// input is what a layer reads in one walk, and what it makes.
type input struct{ x, out graph.Tensor }

// round rounds the weights of a layer [N, K]; exact and quantized are its inputs in both networks, as many of one shape.
func (o *Rounding) round(l *layerOf, weights []float32, exact, quantized []input, threads int) (*linear.Weight, error) {
	n := l.shape[0]
	k := len(weights) / n
	rows := n / l.groups
	packed := linear.NewWeight(linear.I8, n, k, 0)
	codes := make([]int8, k)
	for group := range l.groups {
		m := newMoments(k, o.Correct, 0, false)
		for i := range quantized {
			share := min(max(roundPatches, 8*k), roundMost) / len(quantized)
			m.add(l.patches(quantized[i], group, k, share), l.patches(exact[i], group, k, share), nil, nil, threads)
		}
		m.finish(threads)
		m.scarce(threads)
		j := job{w: rowsOf(weights[group*rows*k:][:rows*k], k), k: k, format: linear.I8, diag: m.diag(), h: m.h, sweeps: o.Sweeps, threads: threads}
		if o.GPTQ || o.Correct {
			ut, err := m.feedback(cmp.Or(o.Damp, 0.01), columns{}, threads, func(error, float64) {})
			if err != nil {
				return nil, fmt.Errorf("calibrate: %s: %w", l.node.Name, err)
			}
			if o.Correct {
				correct(j.w, m.d, nil, ut, threads)
			}
			if o.GPTQ {
				j.ut = ut
			}
		}
		w := j.round()
		for r := range rows {
			linear.Row(w, r, codes)
			linear.PutRow(packed, group*rows+r, codes)
			packed.Scale[group*rows+r] = w.Scale[r]
		}
	}
	linear.FillSums(packed)
	return packed, nil
}

// patches are up to most rows of what the layer multiplies by the rows of a group's matrix, evenly spaced.
func (l *layerOf) patches(in input, group, k, most int) matrix {
	if _, ok := l.node.Op.(graph.Linear); ok {
		all := rowsOf(in.x.F, k)
		list := make(matrix, min(len(all), max(most, 1)))
		for i := range list {
			list[i] = all[i*len(all)/len(list)]
		}
		return list
	}
	p := ref.PatchesOf(l.node.Op, l.shape, in.x, in.out)
	list := newMatrix(min(p.Len(), max(most, 1)), k)
	for i := range list {
		p.Row(i*p.Len()/len(list), group, list[i])
	}
	return list
}
