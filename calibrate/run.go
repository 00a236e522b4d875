package calibrate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"qpt/format/graph"
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
// once, from the input of linear layers to the next: when it is there for all of them, the
// layers are rounded, and the walk goes on with the rounded weights: each layer sees the
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
	c := &calibration{src: src, opt: opt, params: g.ParamMap(), rounded: map[string]matrix{},
		res: &Result{Weights: map[string]*kernels.Weight{}, Source: &Folded{Source: src, Row: map[string][]float32{}, Col: map[string][]float32{}}}}
	if err := c.start(g); err != nil {
		return nil, err
	}
	todo := sites(g, func(p string) bool { _, ok := opt.Target(p); return ok })
	at := map[string]int{} // value -> node
	for i, n := range g.Nodes {
		at[n.Out[0]] = i
	}
	for i, t := range todo {
		m, sample, err := c.collect(ctx, t, at[t.value]+1)
		if err != nil {
			return nil, err
		}
		for _, n := range g.Nodes[:at[t.value]] { // these are behind all
			if _, ok := n.Op.(graph.Linear); ok {
				delete(c.rounded, n.Params[0])
			}
		}
		if err := c.site(t, m, sample); err != nil {
			return nil, err
		}
		if opt.Progress != nil {
			opt.Progress(i+1, len(todo))
		}
	}
	return c.res, nil
}

// chunkTokens is how many tokens of the text walk together, about.
const chunkTokens = 4096

// part is some of the sequences on their way through the model.
type part struct {
	rounded, exact *ref.Walk // exact is nil without Correct
}

// start cuts the text into parts and stands them before the first node.
func (c *calibration) start(g *graph.Graph) error {
	var seqs []ref.Seq
	size := 0
	for i, ids := range c.opt.Seqs {
		seqs = append(seqs, ref.Seq{IDs: ids, Rows: []int32{}})
		c.tokens += len(ids)
		if size += len(ids); size < chunkTokens && i+1 < len(c.opt.Seqs) {
			continue
		}
		opts := ref.Options{Threads: c.opt.Threads, Dot: kernels.MatMul()}
		var p part
		var err error
		if p.rounded, err = ref.Start(g, c, seqs, opts); err != nil {
			return err
		}
		if c.opt.Correct {
			if p.exact, err = ref.Start(g, c.src, seqs, opts); err != nil {
				return err
			}
		}
		c.parts = append(c.parts, p)
		seqs, size = nil, 0
	}
	return nil
}

// sampleTokens is how many inputs of a site the scale search looks at.
const sampleTokens = 256

// collect lets all parts compute the nodes before end, the last of which
// gives the value of t, and returns its moments and a sample of it.
func (c *calibration) collect(ctx context.Context, t *site, end int) (*moments, matrix, error) {
	m := newMoments(t.k, c.opt.Correct)
	var sample matrix
	n := min(c.tokens, sampleTokens)
	for _, p := range c.parts {
		if err := p.rounded.Advance(ctx, end); err != nil {
			return nil, nil, err
		}
		x := rows(p.rounded.Value(t.value), t.k)
		for _, row := range x {
			for i, v := range row {
				if !finite(v) {
					return nil, nil, fmt.Errorf("calibrate: input %d of %s is %v: the model overflows on the calibration text", i, t.readers[0].Name, v)
				}
			}
		}
		var y matrix
		if p.exact != nil {
			if err := p.exact.Advance(ctx, end); err != nil {
				return nil, nil, err
			}
			y = rows(p.exact.Value(t.value), t.k)
		}
		for len(sample) < n && len(sample)*c.tokens/n < m.tokens+len(x) {
			sample = append(sample, slices.Clone(x[len(sample)*c.tokens/n-m.tokens]))
		}
		m.add(x, y, c.opt.Threads)
	}
	m.finish(c.opt.Threads)
	return m, sample, nil
}

// rows are the rows of all tensors.
func rows(ts []ref.Tensor, k int) (m matrix) {
	for _, t := range ts {
		m = append(m, rowsOf(t.F, k)...)
	}
	return m
}

// calibration is the state of Run. As a ref.Source it gives rounded weights where there are some.
type calibration struct {
	src     ref.Source
	opt     Options
	params  map[string]graph.Param
	tokens  int // of the text
	parts   []part
	rounded map[string]matrix // weights in use, in the coordinates of the unscaled model
	res     *Result
}

// ReadRows gives the rounded weights to the walk.
func (c *calibration) ReadRows(name string, r0, r1 int, dst []float32) error {
	if w := c.rounded[name]; w != nil {
		for _, row := range w[r0:r1] {
			dst = dst[copy(dst, row):]
		}
		return nil
	}
	return c.src.ReadRows(name, r0, r1, dst)
}

// site rounds the readers of t, whose input has the moments m; x is a sample of it.
func (c *calibration) site(t *site, m *moments, x matrix) error {
	k, threads := t.k, c.opt.Threads
	var ut matrix
	if c.opt.GPTQ || c.opt.Correct {
		var err error
		for damp := c.opt.Damp; ; damp *= 10 {
			if ut, err = feedback(m.damped(damp), threads); err == nil {
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
		w := make([]float32, p.Shape[0]*k)
		if err := c.src.ReadRows(p.Name, 0, p.Shape[0], w); err != nil {
			return err
		}
		l := layer{w: rowsOf(w, k), format: target.Format, group: target.Group, form: target.Form}
		if c.opt.Correct {
			correct(l.w, m.d, ut, threads)
		}
		layers = append(layers, l)
	}
	m.d = nil
	if !c.opt.GPTQ {
		ut = nil
	}
	var s []float32
	if c.opt.Scales && t.foldable() {
		if s = c.searchScales(t, m, x, ut, layers); s != nil {
			for r, v := range c.res.Source.fold(t, s) {
				if w := c.res.Weights[t.maker.Params[0]]; w != nil { // rounded already: its codes stay
					w.Scale[r] /= v
				}
			}
		}
	}
	for i, n := range t.readers {
		w := c.job(layers[i], s, m, ut, c.opt.Sweeps).round()
		got := dequantize(w)
		if s != nil {
			for _, row := range got {
				for e := range row {
					row[e] /= s[e]
				}
			}
		}
		c.res.Weights[n.Params[0]], c.rounded[n.Params[0]] = w, got
	}
	return nil
}

// correct replaces W by the weights that, on the rounded model's inputs X,
// come closest to W on the FP32 model's inputs Y: W + W D^T H^-1, with
// D = X^T (Y - X), H damped, and H^-1 = U^T U.
func correct(w, d, ut matrix, threads int) {
	n, k := len(w), len(d)
	wd, wu := newMatrix(n, k), newMatrix(n, k) // W D^T, W D^T U^T
	tiles(threads, n, tile, func(i0, i1 int) { addProduct(wd[i0:i1], w[i0:i1], d, 1) })
	tiles(threads, k, tile, func(j0, j1 int) { // row k of U is 0 before k
		u := newMatrix(j1-j0, k-j0)
		ut.view(j0, k, j0, j1).transposed(u)
		addProduct(wu.view(0, n, j0, j1), wd.view(0, n, j0, k), u, 1)
	})
	tiles(threads, k, tile, func(j0, j1 int) {
		addProduct(w.view(0, n, j0, j1), wu.view(0, n, 0, j1), ut.view(j0, j1, 0, j1), 1)
	})
}
