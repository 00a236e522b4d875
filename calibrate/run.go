package calibrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"

	"qpt/format/graph"
	"qpt/internal/par"
	"qpt/kernels"
	"qpt/runtime/ref"
)

// Options of Run.
type Options struct {
	Seqs    [][]int32 // calibration texts as tokens
	Threads int       // 0: all
	// Target tells how the weights of a linear layer are to be rounded; ok
	// false leaves it alone. Formats are kernels.I8 and kernels.I4.
	Target func(param string) (t Target, ok bool)

	Scales  bool    // search channel scales (AWQ, SmoothQuant)
	GPTQ    bool    // error feedback
	Sweeps  int     // coordinate descent over the codes, at most so many times; 0: none
	Correct bool    // aim at the FP32 model's outputs instead of those of the rounded model's inputs
	Damp    float64 // added to the diagonal of H, as a share of its mean; 0: 0.01

	// Progress, if set, is called with the sites done and the number in all.
	Progress func(done, total int)
}

// Enable switches on an algorithm by name: "scales", "gptq", "descent", "correct". ok is false if there is none of the name.
func (o *Options) Enable(algorithm string) (ok bool) {
	switch algorithm {
	case "scales":
		o.Scales = true
	case "gptq":
		o.GPTQ = true
	case "descent":
		o.Sweeps = 4
	case "correct":
		o.Correct = true
	default:
		return false
	}
	return true
}

// Target of one weight.
type Target struct {
	Format kernels.Format
	Group  int
	Form   kernels.ActForm
}

// Result of Run.
type Result struct {
	Weights map[string]*kernels.Weight // the targets, packed, without bias
	Source  *Folded                    // everything else is to be read from here
	Notes   []string                   // what did not go as planned
}

// Run rounds the targets of a graph. The sequences walk through the model
// once, node by node; when the input of linear layers is there for all of them, the layers are
// rounded, and the walk goes on with the rounded weights: each layer sees the
// errors of those before it. With Correct the FP32 model walks beside it.
func Run(ctx context.Context, g *graph.Graph, src ref.Source, opt Options) (*Result, error) {
	if opt.Threads <= 0 {
		opt.Threads = runtime.GOMAXPROCS(0)
	}
	if opt.Damp == 0 {
		opt.Damp = 0.01
	}
	if len(opt.Seqs) == 0 {
		return nil, errors.New("calibrate: no calibration text")
	}
	var seqs []ref.Seq
	for _, ids := range opt.Seqs {
		seqs = append(seqs, ref.Seq{IDs: ids, Rows: []int32{}})
	}
	c := &calibration{g: g, src: src, opt: opt, params: g.ParamMap(), sites: map[string]*site{}, rounded: map[string][]float32{},
		res: &Result{Weights: map[string]*kernels.Weight{}, Source: &Folded{Source: src, Row: map[string][]float32{}, Col: map[string][]float32{}}}}
	for _, t := range sites(g, func(p string) bool { _, ok := opt.Target(p); return ok }) {
		c.sites[t.value] = t
	}
	ctx, cancel := context.WithCancel(ctx)
	var failed error
	if opt.Correct {
		c.exact = make(chan [][]float32)
		go c.walkExact(ctx, seqs)
		defer func() { // it reads the source: leave nobody behind
			for range c.exact {
			}
		}()
	}
	defer cancel()
	var rows [][]float32
	done := 0
	_, err := ref.Run(ctx, g, c, seqs, ref.Options{Threads: opt.Threads, Dot: kernels.MatMul(), Tap: func(n *graph.Node, seq int, _ []ref.Tensor, out ref.Tensor) {
		last := seq == len(seqs)-1
		if _, ok := n.Op.(graph.Linear); ok && last {
			delete(c.rounded, n.Params[0])
		}
		t := c.sites[n.Out[0]]
		if t == nil || failed != nil {
			return
		}
		rows = appendRows(rows, out)
		if last {
			var y [][]float32
			if opt.Correct {
				if y = <-c.exact; y == nil { // cancelled, or failed
					failed = cmp.Or(c.exactErr, ctx.Err())
					cancel()
					return
				}
			}
			if failed = c.site(t, rows, y); failed != nil {
				cancel()
				return
			}
			done++
			if opt.Progress != nil {
				opt.Progress(done, len(c.sites))
			}
			rows = rows[:0]
		}
	}})
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	return c.res, nil
}

// calibration is the state of Run. As a ref.Source it gives rounded weights where there are some.
type calibration struct {
	g       *graph.Graph
	src     ref.Source
	opt     Options
	params  map[string]graph.Param
	sites   map[string]*site
	rounded map[string][]float32 // weights in use, in the coordinates of the unscaled model
	res     *Result

	exact    chan [][]float32 // inputs of the next site in the FP32 model
	exactErr error            // set before exact is closed
}

// ReadRows gives the rounded weights to the walk.
func (c *calibration) ReadRows(name string, r0, r1 int, dst []float32) error {
	if w := c.rounded[name]; w != nil {
		k := len(dst) / (r1 - r0)
		copy(dst, w[r0*k:r1*k])
		return nil
	}
	return c.src.ReadRows(name, r0, r1, dst)
}

// walkExact runs the FP32 model, hands over the values of the sites and closes the channel.
func (c *calibration) walkExact(ctx context.Context, seqs []ref.Seq) {
	defer close(c.exact)
	var rows [][]float32
	_, c.exactErr = ref.Run(ctx, c.g, c.src, seqs, ref.Options{Threads: c.opt.Threads, Dot: kernels.MatMul(), Tap: func(n *graph.Node, seq int, _ []ref.Tensor, out ref.Tensor) {
		if c.sites[n.Out[0]] == nil {
			return
		}
		rows = appendRows(rows, out)
		if seq == len(seqs)-1 {
			select {
			case c.exact <- rows:
			case <-ctx.Done():
			}
			rows = nil
		}
	}})
}

func appendRows(rows [][]float32, t ref.Tensor) [][]float32 {
	k := t.Shape[len(t.Shape)-1]
	for i := 0; i < len(t.F); i += k {
		rows = append(rows, t.F[i:i+k])
	}
	return rows
}

// site rounds the readers of t, whose input is x; y is the FP32 model's input or nil.
func (c *calibration) site(t *site, x, y [][]float32) error {
	for _, row := range x {
		for i, v := range row {
			if !finite(v) {
				return fmt.Errorf("calibrate: input %d of %s is %v: the model overflows on the calibration text", i, t.readers[0].Name, v)
			}
		}
	}
	k, threads := t.k, c.opt.Threads
	m := newMoments(k, y != nil)
	m.add(x, y, threads)
	m.finish()
	var u []float32
	if c.opt.GPTQ {
		var err error
		for damp := c.opt.Damp; ; damp *= 10 {
			if u, err = feedback(m.damped(damp), k, threads); err == nil {
				break
			}
			if damp > 10 {
				return fmt.Errorf("calibrate: %s: %w even with damping %g", t.readers[0].Name, err, damp)
			}
			c.res.Notes = append(c.res.Notes, fmt.Sprintf("%s: %v: damping raised to %g", t.readers[0].Name, err, damp*10))
		}
	}
	var layers []layer
	for _, n := range t.readers {
		p := c.params[n.Params[0]]
		target, _ := c.opt.Target(p.Name)
		l := layer{w: make([]float32, p.Shape[0]*k), n: p.Shape[0], format: target.Format, group: target.Group, form: target.Form}
		if err := c.src.ReadRows(p.Name, 0, l.n, l.w); err != nil {
			return err
		}
		layers = append(layers, l)
	}
	if y != nil {
		c.correct(t, m, layers)
	}
	var s []float32
	if c.opt.Scales && t.foldable() {
		if s = c.searchScales(t, m, x, u, layers); s != nil {
			for r, v := range c.res.Source.fold(t, s) {
				if w := c.res.Weights[t.maker.Params[0]]; w != nil { // rounded already: its codes stay
					w.Scale[r] /= v
				}
			}
		}
	}
	for i, n := range t.readers {
		w := c.job(layers[i], s, m, u, c.opt.Sweeps).round()
		got := dequantize(w)
		if s != nil {
			for e := range got {
				got[e] /= s[e%k]
			}
		}
		c.res.Weights[n.Params[0]], c.rounded[n.Params[0]] = w, got
	}
	return nil
}

// correct replaces the weights by those that, on the rounded model's inputs X,
// come closest to W on the FP32 model's inputs Y: W + W (Y^T X - X^T X) (X^T X + damp)^-1.
func (c *calibration) correct(t *site, m *moments, layers []layer) {
	k := m.k
	l := m.damped(max(c.opt.Damp, 0.01))
	if err := cholesky(l, k, c.opt.Threads); err != nil {
		c.res.Notes = append(c.res.Notes, fmt.Sprintf("%s: %v: not corrected", t.readers[0].Name, err))
		return
	}
	d := make([]float64, k*k)
	for i := range d {
		d[i] = m.yx[i] - m.xx[i]
	}
	solve(l, k, d, c.opt.Threads)
	for _, ly := range layers {
		par.For(c.opt.Threads, ly.n, func(_, n int) {
			row := ly.w[n*k : (n+1)*k]
			sum := make([]float64, k)
			for i, v := range row {
				for j, e := range d[i*k : (i+1)*k] {
					sum[j] += float64(float64(v) * e)
				}
			}
			for i := range row {
				row[i] += float32(sum[i])
			}
		})
	}
}
