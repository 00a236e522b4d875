package calibrate

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"qpt/format/graph"
	"qpt/kernels/linear"
)

// work is what Run has to do.
type work struct {
	layers   float64 // products of the walks' layers: multiplications
	flops    float64 // products in float32, and what else is counted in them
	products float64 // of integers: multiplications
	weights  float64 // to be rounded
}

// What a value or a score of the walks costs besides products, in the flops that pass meanwhile (SmolLM2-135M, AVX-512).
const (
	flopsPerValue = 200
	flopsPerScore = 250
)

// sustained is how much longer all of it takes than a little of it would have it: caches, and threads that wait for the last one (SmolLM2-135M on two cores: 1.17 with
// 65,445 tokens, 1.3 with 512).
const sustained = 1.2

// newWork counts it for samples of o.Length tokens.
func newWork(g *graph.Graph, o Options) (w work) {
	params, values, turns := g.ParamMap(), g.ValueMap(), g.Turns()
	tokens, length := float64(o.Samples)*float64(o.Length), float64(o.Length)
	walks := 1.0
	if o.Correct || o.Bias {
		walks = 2
	}
	todo := sites(g, func(p string) bool { _, ok := o.Target(p); return ok })
	if len(todo) == 0 {
		return w
	}
	if slices.ContainsFunc(todo, func(t *site) bool { return len(t.again) > 0 }) { // the FP32 model walks before
		walks++
	}
	counted := map[string]bool{}
	for i := range g.Nodes[:todo[len(todo)-1].end] {
		n := &g.Nodes[i]
		for _, m := range n.Linears() {
			if counted[m.Weight] { // Turns has all nodes that share it
				continue
			}
			counted[m.Weight] = true
			p := params[m.Weight].Shape
			w.layers += tokens * walks * float64(p[0]) * float64(p[1]) * turns[m.Weight]
		}
		if op, ok := n.Op.(graph.Attention); ok {
			seen := length / 2
			if op.Mask.Kind != "causal" {
				seen = length
			}
			if op.Mask.Window > 0 {
				seen = min(seen, float64(op.Mask.Window))
			}
			w.flops += tokens * walks * seen * float64(op.Heads) * (2*float64(op.HeadDim+op.ValueDim()) + flopsPerScore)
		}
		size := 1.0
		for _, d := range values[n.Out[0]].Shape {
			size *= max(1, float64(d)) // a symbol counts once
		}
		w.flops += tokens * walks * size * flopsPerValue
	}
	for _, t := range todo {
		k, rows := float64(t.k), tokens*turns[t.readers[0].Weight]
		w.products += rows * k * k / 2
		if o.GPTQ || o.Correct {
			w.flops += k * k * k * 4 / 3
		}
		if o.Correct {
			w.products += rows * k * k
		}
		for _, r := range t.readers {
			n := float64(params[r.Weight].Shape[0])
			if o.Correct && t.beside != "" {
				w.products += rows * k * n
			}
			if o.Correct {
				w.flops += 4 * n * k * k
			}
			w.weights += n * k
			if o.Scales && t.foldable() {
				tried := scoutRows*float64(len(o.Alpha)*len(o.Beta)) + searchRows*(1+searchBest)
				w.weights += tried * k
				w.flops += 2 * tried * k * k
			}
			w.flops += o.rounding(n, k)
		}
	}
	return w
}

// rounding is the flops of the products while a weight is rounded.
func (o *Options) rounding(n, k float64) (flops float64) {
	if o.GPTQ {
		flops += n * k * k
	}
	if o.Sweeps > 0 {
		flops += n * k * k * float64(4+o.Sweeps)
	}
	return flops
}

// Forecast estimates how long Run takes with Samples of Length tokens on this machine when nothing else runs: what there is to do, at the rates at which a little of it
// goes here, which takes a tenth of a second. Seqs are not looked at.
func Forecast(g *graph.Graph, o Options) time.Duration {
	o.defaults()
	w := newWork(g, o)
	if w.weights == 0 {
		return 0
	}
	const n, k = 128, batch
	r := rand.New(rand.NewPCG(1, 1))
	x, y := newMatrix(k, k), newMatrix(k, k)
	for i := range x {
		for j := range x[i] {
			x[i][j] = float32(r.NormFloat64())
		}
	}
	whole, _ := x.whole(k)
	float := rate(func() { addProduct(y, x, x, 1) }) / (2 * k * k * k)
	packed := linear.NewShorts(k, k)
	packed.Put(0, whole)
	short := rate(func() { packed.MatMul(y, x, 0, k) }) / (k * k * k)
	m := newMoments(k, false, 0, false)
	m.add(x, nil, nil, nil, 1)
	integer := rate(func() { addProducts([]product{{m.h, m.x, m.x, false}}, 1) }) / (k * k * batch)
	m.finish(1)
	var format Target
	for _, p := range g.Params {
		if t, ok := o.Target(p.Name); ok {
			format = t
			break
		}
	}
	j := job{w: x[:n], k: k, format: format.Format, group: format.Group, diag: m.diag(), h: m.h, clip: o.Clip, hqq: o.HQQ, sweeps: o.Sweeps, threads: 1}
	if o.GPTQ {
		j.ut, _ = feedback(m.damped(o.Damp, columns{}, 1), 1) // of random numbers: definite
	}
	round := max(rate(func() { j.round() })-o.rounding(n, k)*float, 0) / (n * k)
	return time.Duration(sustained * (w.layers*short + w.flops*float + w.products*integer + w.weights*round) / float64(o.Threads) * 1e9)
}

// rate is the seconds that f takes, the least of some times.
func rate(f func()) float64 {
	least := time.Hour
	for begin := time.Now(); time.Since(begin) < 30*time.Millisecond; {
		start := time.Now()
		f()
		least = min(least, time.Since(start))
	}
	return least.Seconds()
}

// defaults fills in what is 0.
func (o *Options) defaults() {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Damp == 0 {
		o.Damp = 0.01
	}
	if o.Alpha == nil {
		o.Alpha = DefaultAlpha
	}
	if o.Beta == nil {
		o.Beta = DefaultBeta
	}
}
