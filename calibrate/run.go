package calibrate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// Options of Run.
type Options struct {
	Seqs    [][]int32 // calibration texts as tokens
	Types   [][]int32 // of the tokens of each, for a graph that takes them; nil: 0
	Threads int       // 0: all
	// Target tells how the weights of a linear layer are to be rounded; ok
	// false leaves it alone. Formats are linear.I8, linear.I6 and linear.I4.
	Target func(param string) (t Target, ok bool)

	Scales  bool      // search channel scales (AWQ, SmoothQuant) ..
	Alpha   []float64 // .. over these exponents, see search.go; nil: DefaultAlpha
	Beta    []float64 // nil: DefaultBeta
	GPTQ    bool      // error feedback ..
	Order   bool      // .. from the column of greatest importance to that of the least, see actorder.go
	Clip    bool      // groups by the error of what they add to the outputs, see clip.go
	HQQ     bool      // groups by HQQ's norm, which needs no text, see hqq.go
	Sweeps  int       // coordinate descent over the codes, at most so many times; 0: none
	Correct bool      // aim at the FP32 model's outputs and residual stream instead of the outputs for the rounded model's inputs
	Bias    bool      // add to the bias what the mean of a layer's result lacks, see bias.go
	Damp    float64   // added to the diagonal of H, as a share of its mean; 0: 0.01

	// Memory caps the bytes in use, as far as one sequence allows (the function Memory counts with Samples of Length tokens); 0: no cap.
	// Activations and finished layers beyond it go to temporary files in TempDir ("": the system's).
	Memory  int64
	Samples int
	Length  int
	TempDir string

	// Journal, if given, is a file that keeps the finished layers: a Run that was interrupted goes
	// on with them, if Key is that of the Run before, which is to tell what the result depends on.
	Journal string
	Key     [32]byte

	// Progress, if set, is called with the sites done and the number in all.
	Progress func(done, total int)
}

// ErrOverflow is matched by the error about a text on which the model gives what is no finite number.
var ErrOverflow = errors.New("the model overflows on the calibration text")

// Target of one weight.
type Target struct {
	Format linear.Format
	Group  int
	Form   linear.ActForm
	Wild   []int32 // of I8: columns whose weights stay float32, the same for all that read a value
}

// Result of Run. Close it.
type Result struct {
	Weights map[string]*linear.Weight // the targets, without bias; Data and Groups may be on disk: see Load
	Source  *Folded                   // everything else is to be read from here
	Notes   []string                  // what did not go as planned
	Sites   []Site                    // inputs of the targets, in order of execution

	journal *journal // or nil
}

// Site is a value that targets read.
type Site struct {
	Reader       string // parameter of the first of them
	Inputs, Dead int    // channels; those that were 0 at every token
	Expert       bool   // of a mixture ..
	Rows         int    // of the text that it met: .. those routed to it
}

// Load returns a whole packed weight, nil if name is no target.
func (r *Result) Load(name string) (*linear.Weight, error) {
	w := r.Weights[name]
	if w == nil || w.Data != nil {
		return w, nil
	}
	return r.journal.load(name, w)
}

// Close ends the use of Load.
func (r *Result) Close() error {
	if r.journal == nil {
		return nil
	}
	return r.journal.close()
}

// Run rounds the targets of a graph. The sequences walk through the model
// once, from the input of linear layers to the next: when it is there for all of them, the
// layers are rounded, and the walk goes on with the rounded weights: each layer sees the
// errors of those before it. With Correct the FP32 model walks beside it.
func Run(ctx context.Context, g *graph.Graph, src graph.Source, opt Options) (_ *Result, err error) {
	opt.defaults()
	if len(opt.Seqs) == 0 {
		return nil, errors.New("calibrate: no calibration text")
	}
	c := &calibration{src: src, opt: opt, params: g.ParamMap(),
		res: &Result{Weights: map[string]*linear.Weight{}, Source: &Folded{Source: src, Row: map[string][]float32{}, Col: map[string][]float32{}, Value: map[string][]float32{}, Add: map[string][]float32{}}}}
	todo := sites(g, func(p string) bool { _, ok := opt.Target(p); return ok })
	for _, t := range todo {
		for _, r := range t.readers {
			if opt.Bias && r.Bias == "" && !r.Routed {
				return nil, fmt.Errorf("calibrate: %s has no bias to correct: see WithBiases", r.node.Name)
			}
		}
	}
	defer func() { c.park.close() }()
	need := newDemand(g, todo, opt)
	shared, err := c.shared(ctx, g, todo, need)
	if err != nil {
		return nil, err
	}
	if err := c.start(g, need); err != nil {
		return nil, err
	}
	left := readersOf(g)
	if opt.Memory > 0 || opt.Journal != "" {
		if c.res.journal, err = openJournal(opt.Journal, opt.TempDir, opt.Key); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				c.res.journal.close()
			}
		}()
	}
	behind := 0 // nodes that all parts have behind them
	resuming := c.res.journal != nil
	for i, t := range todo {
		var done *record
		if resuming {
			done = c.res.journal.next(t.name())
			resuming = done != nil
		}
		m, own := shared[t], (*moments)(nil)
		if m == nil && done == nil {
			own = c.moments(t)
			m = own
		}
		sample, err := c.collect(ctx, t, own)
		if err != nil {
			return nil, err
		}
		if own != nil {
			own.finish(opt.Threads)
			if t.routing != nil {
				own.scarce(opt.Threads)
			}
		}
		for ; behind < t.end; behind++ {
			for _, x := range g.Nodes[behind].Linears() {
				if left[x.Weight]--; left[x.Weight] == 0 {
					c.exact.forget(x.Weight)
					c.rounded.forget(x.Weight)
				}
			}
		}
		if done == nil {
			if done, err = c.site(t, m, sample); err != nil {
				return nil, err
			}
		}
		c.apply(t, done)
		if opt.Progress != nil {
			opt.Progress(i+1, len(todo))
		}
	}
	if note := c.res.seldom(); note != "" {
		c.res.Notes = append(c.res.Notes, note)
	}
	return c.res, nil
}

// shared are the moments of layers that several depths share, over the inputs that all of them have in the FP32 model: the text walks through it once.
func (c *calibration) shared(ctx context.Context, g *graph.Graph, todo []*site, need demand) (map[*site]*moments, error) {
	type use struct{ at, of *site }
	var uses []use
	for _, t := range todo {
		if len(t.again) == 0 {
			continue
		}
		for _, p := range append([]place{{t.value, t.end}}, t.again...) {
			uses = append(uses, use{&site{value: p.value, end: p.end, k: t.k, readers: t.readers}, t})
		}
	}
	if uses == nil {
		return nil, nil
	}
	slices.SortStableFunc(uses, func(a, b use) int { return a.at.end - b.at.end })
	if err := c.start(g, need); err != nil {
		return nil, err
	}
	found := map[*site]*moments{}
	for _, u := range uses {
		if found[u.of] == nil {
			found[u.of] = newMoments(u.of.k, false, 0, false)
		}
		if _, err := c.collect(ctx, u.at, found[u.of]); err != nil {
			return nil, err
		}
	}
	for _, m := range found {
		m.finish(c.opt.Threads)
	}
	c.park.close()
	c.parts, c.tokens = nil, 0
	return found, nil
}

// start cuts the text into parts and stands them before the first node.
func (c *calibration) start(g *graph.Graph, need demand) error {
	chunk := c.opt.chunk()
	c.park = parking{dir: c.opt.TempDir, room: math.MaxInt64, spare: &ref.Spare{Limit: need.token * int64(chunk)}}
	if c.opt.Memory > 0 {
		room := max(0, c.opt.Memory-need.fixed)
		chunk = int(min(int64(chunk), room/max(need.token, 1)))
		c.park.spare.Limit = max(min(c.park.spare.Limit, room-need.token*int64(chunk)), 1)
		c.park.room = room - need.token*int64(chunk) - c.park.spare.Limit
	}
	c.exact, c.rounded = newLayers(c.src, c.params, c.opt.Threads), newLayers(c, c.params, c.opt.Threads)
	var seqs []ref.Seq
	size := 0
	for i, ids := range c.opt.Seqs {
		seqs = append(seqs, ref.Seq{IDs: ids, Types: typesOf(c.opt.Types, i), Rows: []int32{}})
		c.tokens += len(ids)
		size += len(ids)
		if i+1 < len(c.opt.Seqs) && size+len(c.opt.Seqs[i+1]) <= chunk {
			continue
		}
		opts := ref.Options{Threads: c.opt.Threads, Dot: linear.MatMul(), Fast: c.rounded.fast(), Spare: c.park.spare}
		p := new(part)
		var err error
		if p.rounded, err = ref.Start(g, c, ref.Texts(g, seqs...), opts); err != nil {
			return err
		}
		if c.opt.Correct || c.opt.Bias {
			opts.Fast = c.exact.fast()
			if p.exact, err = ref.Start(g, c.src, ref.Texts(g, seqs...), opts); err != nil {
				return err
			}
		}
		c.parts = append(c.parts, p)
		seqs, size = nil, 0
	}
	return nil
}

// typesOf are those of a text, nil for 0.
func typesOf(types [][]int32, i int) []int32 {
	if i >= len(types) {
		return nil
	}
	return types[i]
}

// sampleTokens is how many inputs of a site the scale search looks at.
const sampleTokens = 256

// gap is the width of the value that the result of t is added to, if what the rounded model lacks there counts.
func (c *calibration) gap(t *site) int {
	if c.opt.Correct && t.beside != "" {
		return c.params[t.readers[0].Weight].Shape[0]
	}
	return 0
}

// moments are those of t, of nothing yet.
func (c *calibration) moments(t *site) *moments {
	return newMoments(t.k, c.opt.Correct, c.gap(t), c.opt.Bias && t.readers[0].Bias != "")
}

// collect lets all parts compute the nodes before the end of t, adds its rows to m and returns, if its channels may be scaled, a
// sample of it; with a nil m they only pass.
func (c *calibration) collect(ctx context.Context, t *site, m *moments) (sample matrix, err error) {
	n := min(c.tokens, sampleTokens)
	for _, p := range c.parts {
		if err := c.park.wake(p); err != nil {
			return nil, err
		}
		if err := p.advance(ctx, t.end); err != nil {
			return nil, err
		}
		x, y := t.rows(p)
		for _, row := range x {
			if num.Finite(math.Float32frombits(elem.AbsMax(row))) {
				continue
			}
			i := slices.IndexFunc(row, func(v float32) bool { return !num.Finite(v) })
			return nil, fmt.Errorf("calibrate: input %d of %s is %v: %w", i, t.readers[0].node.Name, row[i], ErrOverflow)
		}
		if m != nil {
			for t.foldable() && len(sample) < n && len(sample)*c.tokens/n < m.tokens+len(x) {
				sample = append(sample, slices.Clone(x[len(sample)*c.tokens/n-m.tokens]))
			}
			var exact, rounded matrix // beside
			if gap := len(m.g); gap > 0 {
				exact, rounded = rows(p.exact.Value(t.beside), gap), rows(p.rounded.Value(t.beside), gap)
			}
			m.add(x, y, exact, rounded, c.opt.Threads)
		}
		if err := c.park.rest(p); err != nil {
			return nil, err
		}
	}
	return sample, c.park.turn()
}

// rows are the rows of all tensors.
func rows(ts []graph.Tensor, k int) (m matrix) {
	for _, t := range ts {
		m = append(m, rowsOf(t.F, k)...)
	}
	return m
}

// calibration is the state of Run. As a graph.Source it gives what the walk of the rounded model reads besides rounded weights.
type calibration struct {
	src    graph.Source
	opt    Options
	params map[string]graph.Param
	tokens int // of the text
	parts  []*part
	park   parking
	res    *Result

	exact, rounded *layers // of the walks
}

// ReadRows implements graph.Source.
func (c *calibration) ReadRows(name string, r0, r1 int, dst []float32) error {
	if err := c.src.ReadRows(name, r0, r1, dst); err != nil {
		return err
	}
	c.res.Source.add(name, dst)
	return nil
}

// site rounds the readers of t, whose input has the moments m; x is a sample of it.
func (c *calibration) site(t *site, m *moments, x matrix) (_ *record, err error) {
	k, threads := t.k, c.opt.Threads
	done := &record{Site: t.name(), Dead: m.dead, Rows: m.tokens}
	var ut matrix
	first, _ := c.opt.Target(t.readers[0].Weight)
	of := columns{wild: first.Wild}
	correcting := m.d != nil
	if c.opt.GPTQ && !c.opt.Order || correcting {
		if ut, err = c.feedback(t, m, of, done); err != nil {
			return nil, err
		}
	}
	var layers []layer
	for _, r := range t.readers {
		p := c.params[r.Weight]
		target, _ := c.opt.Target(p.Name)
		w := make([]float32, p.Shape[0]*k)
		if err := c.src.ReadRows(p.Name, 0, p.Shape[0], w); err != nil {
			return nil, err
		}
		l := layer{w: rowsOf(w, k), format: target.Format, group: target.Group, form: target.Form}
		if correcting {
			correct(l.w, m.d, m.g, ut, threads)
		}
		layers = append(layers, l)
	}
	m.d, m.g = nil, nil
	if !c.opt.GPTQ || c.opt.Order {
		ut = nil
	}
	if c.opt.GPTQ && c.opt.Order || of.wild != nil {
		of = of.byImportance(m.diag())
		if ut, err = c.feedback(t, m, of, done); err != nil {
			return nil, err
		}
	}
	if c.opt.Scales && t.foldable() && of.wild == nil {
		done.scales = c.searchScales(t, m, x, of, ut, layers)
	}
	var jobs []*job
	for _, l := range layers {
		jobs = append(jobs, c.job(l, done.scales, m, of, ut, c.opt.Sweeps))
	}
	done.weights = roundAll(jobs)
	for i, n := range t.readers {
		w := done.weights[i]
		r := recordWeight{Name: n.Weight, Format: w.Format, N: w.N, K: w.K, Group: w.Group, Wild: w.Wild}
		if m.mean != nil && n.Bias != "" {
			if r.Bias, err = c.bias(n.Weight, m, w, done.scales); err != nil {
				return nil, err
			}
		}
		done.Weights = append(done.Weights, r)
	}
	if c.res.journal != nil {
		return done, c.res.journal.add(done)
	}
	return done, nil
}

// feedback is the feedback matrix of a site, of columns in this order. A note says where it took more damping.
func (c *calibration) feedback(t *site, m *moments, of columns, done *record) (matrix, error) {
	ut, err := m.feedback(c.opt.Damp, of, c.opt.Threads, func(err error, damp float64) {
		done.Notes = append(done.Notes, fmt.Sprintf("%s: %v: damping raised to %g", t.readers[0].node.Name, err, damp))
	})
	if err != nil {
		return nil, fmt.Errorf("calibrate: %s: %w", t.readers[0].node.Name, err)
	}
	return ut, nil
}

// apply lets the walk and the result have what was found at a site.
func (c *calibration) apply(t *site, done *record) {
	if done.Scales = len(done.scales); done.Scales > 0 {
		for r, v := range c.res.Source.fold(t, done.scales) {
			if w := c.res.Weights[t.maker.Params[0]]; w != nil { // rounded already: its codes stay
				w.Scale[r] /= v
			}
		}
	}
	for i, w := range done.weights {
		name := t.readers[i].Weight
		c.rounded.take(name, w, done.scales)
		if c.res.journal != nil {
			w.Data, w.Groups = nil, nil
		}
		c.res.Weights[name] = w
		if b := done.Weights[i].Bias; b != nil {
			c.res.Source.Add[t.readers[i].Bias] = b
		}
	}
	c.res.Notes = append(c.res.Notes, done.Notes...)
	site := Site{Reader: t.readers[0].Weight, Inputs: t.k, Dead: done.Dead, Expert: t.idx != "", Rows: done.Rows}
	if site.Expert {
		site.Dead = 0 // rows that did not come say nothing of channels
	}
	c.res.Sites = append(c.res.Sites, site)
}

// correct replaces W by the weights that, on the rounded model's inputs X,
// come closest to W on the FP32 model's inputs Y plus what the value beside lacks: W + (W D^T + G) H^-1, with
// D and G as in moments (G may be nil), H damped, and H^-1 = U^T U.
func correct(w, d, g, ut matrix, threads int) {
	n, k := len(w), len(d)
	wd, wu := newMatrix(n, k), newMatrix(n, k) // W D^T + G, times U^T
	for i, row := range g {
		copy(wd[i], row)
	}
	tiles(threads, n, tile, func(i0, i1 int) { addProduct(wd[i0:i1], w[i0:i1], d, 1) })
	tiles(threads, k, tile, func(j0, j1 int) { // row k of U is 0 before k
		u := newMatrix(j1-j0, k-j0)
		ut.view(j0, k, j0, j1).transposed(u, 0, 0)
		addProduct(wu.view(0, n, j0, j1), wd.view(0, n, j0, k), u, 1)
	})
	tiles(threads, k, tile, func(j0, j1 int) {
		addProduct(w.view(0, n, j0, j1), wu.view(0, n, 0, j1), ut.view(j0, j1, 0, j1), 1)
	})
}
