package convert

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"qpt/calibrate"
	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/par"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
	"qpt/runtime/diff"
	"qpt/runtime/ref"
)

// Sensitivity says what quantizing each matrix does to the model's predictions
// on a text: the mean KL divergence from the FP32 model in nats. For small
// errors these add up: KL is a quadratic form of the errors, and those
// of different matrices are nearly independent (spec/mixed.md).
type Sensitivity struct {
	Tokens int     `json:"tokens"`   // predictions compared
	Fixed  float64 `json:"fixed_kl"` // of the activations' rounding and of the matrices that do not take part, all together
	// Ratio is the KL of the calibrated model, less Fixed, over the sum of what its matrices give one by one:
	// below 1 where the algorithm "correct" lets later ones make up for earlier ones; 1 without calibration.
	Ratio        float64            `json:"joint_ratio"`
	FixedSeconds float64            `json:"fixed_seconds,omitempty"` // a token's products with matrices that do not take part
	Layers       []LayerSensitivity `json:"layers"`

	seqs []ref.Seq
	want []graph.Tensor // FP32 logits
}

// LayerSensitivity is the choice for one matrix.
type LayerSensitivity struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
	// Ratio is what calibration leaves of the KL of rounding to nearest, measured in
	// int4 of the recipe's group, times that of the whole model; 1 without calibration.
	Ratio      float64     `json:"calibrated_ratio"`
	Candidates []Candidate `json:"candidates"` // by falling size
}

// Predict is what a candidate adds to the KL of the whole model.
func (l *LayerSensitivity) Predict(c Candidate) float64 { return l.Ratio * c.KL }

// Candidate is one way to store a matrix.
type Candidate struct {
	Scheme  string  `json:"scheme"`
	Group   int     `json:"group,omitempty"`
	Bytes   int64   `json:"bytes"`
	KL      float64 `json:"kl"`                // of the model when this one is rounded to nearest and all else is exact
	Seconds float64 `json:"seconds,omitempty"` // of its product with one row
}

// SensitivityOptions of Plan.Sensitivity; the zero value works.
type SensitivityOptions struct {
	Samples int    // sequences of the calibration text, none that calibration uses if there are others; 0: 8
	Tables  bool   // the output layer and the embedding table take part
	Time    bool   // measure Seconds
	Target  Target // what Mix will be asked for, if anything: one out of reach is refused before the work, as far as bytes and times tell
	One     bool   // per matrix one measurement of KL, the others in proportion to the error of its outputs
}

// Sensitivity measures all candidates of the matrices that no rule of the recipe decides on.
func (p *Plan) Sensitivity(ctx context.Context, o SensitivityOptions, h Hooks) (*Sensitivity, error) {
	m := measure{p: p, h: h.orNothing(), s: &Sensitivity{Ratio: 1}, planned: map[string]replacement{}}
	m.src = replaced{p.src, map[string]replacement{}}
	switch {
	case p.onTensors():
		return nil, fmt.Errorf("%w: mixed precision goes by what it does to a language model's predictions: of networks on tensors --max-drop keeps layers finer", ErrUsage)
	case !p.Writes():
		return nil, fmt.Errorf("%w: mixed precision goes by what it does to a language model's predictions: of %s give layers another scheme with --override; qrun diff --ref shows which lose most", ErrUsage, p.Model.Type)
	}
	if err := m.takePart(o.Tables); err != nil {
		return nil, err
	}
	if err := m.layers(); err != nil {
		return nil, err
	}
	if o.Time || o.Target.Seconds > 0 {
		m.time()
	}
	if o.Target != (Target{}) && o.Target.KL == 0 {
		if x := p.knapsack(m.s, o.Target); x.budget < x.least() {
			return nil, x.outOfReach()
		}
	}
	if err := m.text(ctx, o.Samples); err != nil {
		return nil, err
	}
	m.one = o.One || float64(len(m.part)*7/2)*float64(m.s.Tokens)*float64(p.Values()) > manyProducts
	m.h.Stage("sensitivity")
	for _, step := range []func(context.Context) error{m.exact, m.fixed, m.nearest} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if p.calibrates() {
		if err := m.calibrate(ctx); err != nil {
			return nil, err
		}
	}
	return m.s, nil
}

// manyProducts is how many multiplications may go into measuring every candidate.
const manyProducts = 1e13

// measure is a measurement of sensitivities.
type measure struct {
	p       *Plan
	h       Hooks
	s       *Sensitivity
	src     replaced
	acts    activations
	part    map[string]*Item       // what takes part
	planned map[string]replacement // what does not
	one     bool                   // see SensitivityOptions
}

func (m *measure) takePart(tables bool) error {
	p := m.p
	m.acts.form = map[string]linear.ActForm{}
	m.part = map[string]*Item{}
	for i := range p.Items {
		it := &p.Items[i]
		s := mustScheme(it.Scheme)
		switch {
		case len(it.Shape) != 2 || s.Bits > 8:
			continue
		case s.Static:
			return fmt.Errorf("%w: mixed precision chooses between int4, int6 and int8 layers whose inputs are quantized while running: take da8w4 or a16w4, not %s", ErrUsage, it.Scheme)
		case linear.Format(it.Format) == linear.I4F:
			return fmt.Errorf("%w: --compat %s has one way to round, so there is nothing to mix", ErrUsage, p.Recipe.Compat)
		}
		m.acts.form[it.Name] = s.Form
		if it.Reason == "" || tables && (it.Reason == outputReason || it.Reason == embeddingReason) {
			m.part[it.Name] = it
		} else {
			m.planned[it.Name] = m.to(Candidate{Scheme: it.Scheme, Group: it.Group})
		}
	}
	if len(m.part) == 0 {
		return fmt.Errorf("%w: mixed precision: no matrix is left to choose for: all have a rule, or the scheme %s is not int4, int6 or int8", ErrUsage, p.Recipe.Scheme)
	}
	return nil
}

// layers lists what takes part, in the order of each.
func (m *measure) layers() error {
	done := map[string]bool{}
	for i := range m.p.graph.Nodes {
		for _, name := range m.p.graph.Nodes[i].Params {
			it := m.part[name]
			if it == nil || done[name] {
				continue
			}
			done[name] = true
			l := LayerSensitivity{Name: it.Name, Shape: it.Shape, Ratio: 1}
			var err error
			if l.Candidates, err = m.p.candidates(it); err != nil {
				return err
			}
			m.s.Layers = append(m.s.Layers, l)
		}
	}
	return nil
}

// logitBytes bounds the FP32 logits that are kept.
const logitBytes = 64 << 20

// text reads the sequences: of those that calibration does not use, if there are enough.
func (m *measure) text(ctx context.Context, samples int) error {
	how := *m.p.Recipe.Calibration
	if samples == 0 {
		samples = 8
	}
	var used sequences
	var rest [][]int32
	var err error
	switch {
	case m.p.Opt.Calib == "": // the model writes
		how.Samples, how.Seed = samples, how.Seed+1
	case m.p.calibrates():
		if used, err = m.p.calibrationText(ctx, m.h, &how); err != nil {
			return err
		}
		fallthrough
	default:
		how.Samples = 1 << 30
	}
	all, err := m.p.calibrationText(ctx, m.h, &how)
	if err != nil {
		return err
	}
	for _, ids := range all.seqs {
		if !slices.ContainsFunc(used.seqs, func(x []int32) bool { return slices.Equal(x, ids) }) {
			rest = append(rest, ids)
		}
	}
	if len(rest) < min(samples, 4) {
		rest = all.seqs
	}
	samples = min(samples, len(rest))
	for i := range samples {
		ids := rest[i*len(rest)/samples]
		m.s.seqs = append(m.s.seqs, ref.Seq{IDs: ids})
		m.s.Tokens += len(ids)
	}
	// Every step-th token's prediction.
	step := (4*m.s.Tokens*m.p.Model.Vocab + logitBytes - 1) / logitBytes
	m.s.Tokens = 0
	for i := range m.s.seqs {
		seq := &m.s.seqs[i]
		for r := step - 1; r < len(seq.IDs); r += step {
			seq.Rows = append(seq.Rows, int32(r))
		}
		if seq.Rows == nil {
			seq.Rows = []int32{int32(len(seq.IDs) - 1)}
		}
		m.s.Tokens += len(seq.Rows)
	}
	return nil
}

func (m *measure) start(src graph.Source) (*ref.Walk, error) {
	return ref.Start(m.p.graph, src, ref.Texts(m.p.graph, m.s.seqs...), ref.Options{Threads: m.p.Opt.Threads, Dot: m.acts.dot})
}

// finish ends a walk and leaves it where it is; quantized inputs are rounded as they will be.
func (m *measure) finish(ctx context.Context, w *ref.Walk, quantized bool) ([]graph.Tensor, error) {
	defer m.acts.enter(nil)
	w = w.Fork()
	g := m.p.graph
	for i := w.Next(); i < len(g.Nodes); i++ {
		if quantized {
			m.acts.enter(&g.Nodes[i])
		}
		if err := w.Advance(ctx, i+1); err != nil {
			return nil, err
		}
	}
	return w.Value(g.Outputs[0]), nil
}

func (m *measure) kl(got []graph.Tensor) float64 {
	var d diff.Logits
	for i, t := range got {
		for r := range t.Shape[0] {
			d.Add(m.s.want[i].Row(r), t.Row(r))
		}
	}
	return d.KL()
}

func (m *measure) exact(ctx context.Context) error {
	w, err := m.start(m.src)
	if err != nil {
		return err
	}
	m.s.want, err = m.finish(ctx, w, false)
	return err
}

func (m *measure) fixed(ctx context.Context) error {
	w, err := m.start(replaced{m.src.Source, m.planned})
	if err != nil {
		return err
	}
	got, err := m.finish(ctx, w, true)
	if err == nil {
		m.s.Fixed = m.kl(got)
	}
	return err
}

// each calls f for every matrix that takes part, with a walk through the exact
// model that stands before the first node that reads it.
func (m *measure) each(ctx context.Context, f func(w *ref.Walk, n *graph.Node, it *Item) error) error {
	g := m.p.graph
	w, err := m.start(m.src)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for i := range g.Nodes {
		for _, name := range g.Nodes[i].Params {
			it := m.part[name]
			if it == nil || done[name] {
				continue
			}
			done[name] = true
			if err := f(w, &g.Nodes[i], it); err != nil {
				return err
			}
			m.h.Progress(int64(len(done)), int64(len(m.part)))
		}
		if err := w.Advance(ctx, i+1); err != nil {
			return err
		}
	}
	return nil
}

// alone is the KL of the model with one matrix replaced.
func (m *measure) alone(ctx context.Context, w *ref.Walk, name string, by replacement) (float64, error) {
	m.src.to[name] = by
	defer delete(m.src.to, name)
	got, err := m.finish(ctx, w, false)
	if err != nil {
		return 0, err
	}
	return m.kl(got), nil
}

// nearest measures the candidates rounded to nearest.
func (m *measure) nearest(ctx context.Context) error {
	next := 0
	return m.each(ctx, func(w *ref.Walk, n *graph.Node, it *Item) (err error) {
		l := &m.s.Layers[next]
		next++
		at := m.base(l)
		base := &l.Candidates[at]
		if base.KL, err = m.alone(ctx, w, it.Name, m.to(*base)); err != nil {
			return err
		}
		unit := 0.0
		if m.one {
			unit = m.local(w, n, it, *base)
		}
		for j := range l.Candidates {
			c := &l.Candidates[j]
			switch {
			case j == at:
			case unit > 0:
				c.KL = base.KL * m.local(w, n, it, *c) / unit
			default:
				if c.KL, err = m.alone(ctx, w, it.Name, m.to(*c)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// base is the candidate of int4 and the recipe's group, or the nearest smaller group that is there.
func (m *measure) base(l *LayerSensitivity) int {
	at := 0
	for i, c := range l.Candidates {
		if c.Group <= m.p.Recipe.Group {
			at = i
		}
	}
	return at
}

// calibrate measures what the recipe's algorithms make of the sensitivities:
// for each matrix alone without the algorithm "correct", which rounds a matrix
// to suit the errors before it, and for all together with it.
func (m *measure) calibrate(ctx context.Context) error {
	q := *m.p
	q.Items = slices.Clone(q.Items)
	for i := range q.Items {
		if it := &q.Items[i]; m.part[it.Name] != nil {
			it.Format, it.Group = format.TensorFormat(linear.I4), q.Recipe.Group
		}
	}
	how := *q.Recipe.Calibration
	q.Recipe.Calibration, q.Opt.Resume = &how, false
	rest := slices.DeleteFunc(slices.Clone(how.Algorithms), func(a string) bool { return a == "correct" })
	correct := len(rest) < len(how.Algorithms) && calibrate.NeedText(rest)
	if correct {
		how.Algorithms = rest
	}
	cal, err := q.calibrate(ctx, m.h, nil)
	if err != nil || cal == nil { // only tables take part
		return err
	}
	defer cal.Close()
	m.h.Stage("sensitivity")
	sum, at := 0.0, 0
	err = m.each(ctx, func(w *ref.Walk, _ *graph.Node, it *Item) error {
		l := &m.s.Layers[at]
		at++
		rounded, err := cal.Load(it.Name)
		if err != nil || rounded == nil { // a table: calibration leaves those alone
			return err
		}
		kl, err := m.alone(ctx, w, it.Name, func(r0, r1 int, dst []float32) { cal.exact(it.Name, rounded, r0, r1, dst) })
		if nearest := l.Candidates[m.base(l)].KL; nearest > 0 {
			l.Ratio = kl / nearest
		}
		sum += kl
		return err
	})
	if err != nil {
		return err
	}
	if correct {
		q.Recipe.Calibration = m.p.Recipe.Calibration
		if cal, err = q.calibrate(ctx, m.h, nil); err != nil {
			return err
		}
		defer cal.Close()
	}
	w, err := m.start(replaced{calibrated{cal}, m.planned})
	if err != nil {
		return err
	}
	got, err := m.finish(ctx, w, true)
	if err != nil || sum == 0 {
		return err
	}
	m.s.Ratio = max(m.kl(got)-m.s.Fixed, 0) / sum
	for i := range m.s.Layers {
		if l := &m.s.Layers[i]; cal.Weights[l.Name] != nil {
			l.Ratio *= m.s.Ratio
		}
	}
	return nil
}

// inputs are the rows that matrix weight of node n multiplies, nil for a table.
func inputs(w *ref.Walk, n *graph.Node, weight string) (x [][]float32) {
	list := n.Linears()
	e := slices.IndexFunc(list, func(m graph.Matrix) bool { return m.Weight == weight })
	if e < 0 {
		return nil
	}
	for s, t := range w.Value(list[e].Input) {
		if !list[e].Routed {
			for r := range t.Rows() {
				x = append(x, t.Row(r))
			}
			continue
		}
		var idx []int32
		if len(n.In) > 1 {
			idx = w.Value(n.In[1])[s].I
		}
		rows := max(len(idx), t.Rows()) // of the result
		for i := range rows {
			if n.Op.(graph.ExpertLinear).Of(idx, i) == e {
				x = append(x, t.Row(i*t.Rows()/rows))
			}
		}
	}
	return x
}

// localRows is how many inputs of a matrix the error of its outputs is taken over.
const localRows = 128

// local is the squared error of a matrix's outputs on inputs of the text; for a table, that of its values.
func (m *measure) local(w *ref.Walk, n *graph.Node, it *Item, c Candidate) float64 {
	x := inputs(w, n, it.Name)
	if x != nil {
		for i := range min(localRows, len(x)) {
			x[i] = x[i*len(x)/min(localRows, len(x))]
		}
		x = x[:min(localRows, len(x))]
	}
	rows, k := it.Shape[0], it.Shape[1]
	chunk := max(16, (1<<20)/k/16*16)
	errs := make([]float64, (rows+chunk-1)/chunk)
	round := m.to(c)
	par.For(m.p.Opt.Threads, len(errs), func(_, i int) {
		r0, r1 := i*chunk, min(rows, (i+1)*chunk)
		d, e := make([]float32, (r1-r0)*k), make([]float32, (r1-r0)*k)
		if m.src.ReadRows(it.Name, r0, r1, d) != nil {
			return // a walk says it
		}
		copy(e, d)
		round(r0, r1, e)
		for j := range d {
			d[j] -= e[j]
		}
		y := [][]float32{d}
		if x != nil {
			y = make([][]float32, len(x))
			for j := range y {
				y[j] = make([]float32, r1-r0)
			}
			calibrate.MatMul(y, 0, x, d)
		}
		for _, row := range y {
			for _, v := range row {
				errs[i] += float64(v) * float64(v)
			}
		}
	})
	total := 0.0
	for _, e := range errs {
		total += e
	}
	return total
}

// calibrated is the model as calibration leaves it.
type calibrated struct{ c *calibration }

// ReadRows reads what the file would hold.
func (s calibrated) ReadRows(name string, r0, r1 int, dst []float32) error {
	w, err := s.c.Load(name)
	if err != nil {
		return err
	}
	if w == nil {
		return s.c.Source.ReadRows(name, r0, r1, dst)
	}
	calibrate.Dequantize(dst, w, r0, r1)
	return nil
}

// exact puts rows of a rounded matrix w into dst, in the coordinates of the checkpoint.
func (c *calibration) exact(name string, w *linear.Weight, r0, r1 int, dst []float32) {
	calibrate.Dequantize(dst, w, r0, r1)
	row, col := c.Source.Row[name], c.Source.Col[name]
	for i := range dst {
		if row != nil {
			dst[i] /= row[r0+i/w.K]
		}
		if col != nil {
			dst[i] /= col[i%w.K]
		}
	}
}

// candidates are the ways to store a matrix whose inputs have a form, largest first.
func (p *Plan) candidates(it *Item) ([]Candidate, error) {
	form := "da8"
	if mustScheme(it.Scheme).Form == linear.A16 {
		form = "a16"
	}
	var list []Candidate
	for _, c := range []Candidate{{Scheme: "w8"}, {Scheme: "w6", Group: 16}, {Scheme: "w6", Group: 64}, {Scheme: "w4", Group: 16}, {Scheme: "w4", Group: 32}, {Scheme: "w4", Group: 64}, {Scheme: "w4", Group: 128}} {
		if c.Group <= 16 || c.Group/2 < it.Shape[1] { // else it is the one before
			c.Scheme = form + c.Scheme
			list = append(list, c)
		}
	}
	for i := range list {
		var err error
		if list[i].Bytes, err = sizeOf(mustScheme(list[i].Scheme).Format, it.Shape, list[i].Group); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// replacement changes rows r0 to r1-1 of a matrix.
type replacement func(r0, r1 int, rows []float32)

// replaced is a model with some matrices replaced.
type replaced struct {
	graph.Source
	to map[string]replacement
}

// ReadRows replaces what it reads.
func (s replaced) ReadRows(name string, r0, r1 int, dst []float32) error {
	if err := s.Source.ReadRows(name, r0, r1, dst); err != nil {
		return err
	}
	if f := s.to[name]; f != nil {
		f(r0, r1, dst)
	}
	return nil
}

// to rounds to nearest: rows do not depend on each other.
func (m *measure) to(c Candidate) replacement {
	return func(r0, r1 int, rows []float32) {
		k := len(rows) / (r1 - r0)
		if f := mustScheme(c.Scheme).Format; f.Grouped() && m.p.hqq() {
			calibrate.Dequantize(rows, calibrate.Nearest(rows, k, calibrate.Target{Format: f, Group: c.Group}), 0, r1-r0)
			return
		}
		w := linear.NewWeight(mustScheme(c.Scheme).Format, r1-r0, k, c.Group)
		q := quant.NewQuantizer(k, quant.Options{})
		for b := range w.Blocks() {
			q.Block(w, b, rows[16*b*k:min(16*(b+1), w.N)*k])
		}
		calibrate.Dequantize(rows, w, 0, w.N)
	}
}

// activations multiplies matrices; while a node is entered, with the input
// rounded as the node's layer has it.
type activations struct {
	form map[string]linear.ActForm // of integer layers
	on   bool                      // int8
	mu   sync.Mutex
	of   *[]float32  // the first row of the input that is rounded, nil: none yet
	rows [][]float32 // it rounded
}

// enter says which node comes, nil for any.
func (a *activations) enter(n *graph.Node) {
	a.on, a.of, a.rows = false, nil, nil
	if n == nil {
		return
	}
	for _, x := range n.Linears() { // the experts of one node have one form
		a.on = a.form[x.Weight] == linear.A8
	}
}

func (a *activations) dot(y [][]float32, n0 int, x [][]float32, w []float32) {
	if a.on && len(x) > 0 {
		a.mu.Lock()
		if a.of != &x[0] {
			a.of, a.rows = &x[0], roundRows(x)
		}
		x = a.rows
		a.mu.Unlock()
	}
	calibrate.MatMul(y, n0, x, w)
}

// roundRows are rows of inputs as int8 layers see them.
func roundRows(x [][]float32) [][]float32 {
	out := make([][]float32, len(x))
	acts := linear.NewActs(linear.A8, 1, len(x[0]))
	for i, row := range x {
		acts.Reset(1)
		acts.Quantize(0, 1, row, len(row))
		out[i] = make([]float32, len(row))
		for k := range row {
			out[i][k] = float32(int32(acts.Hi[k])-acts.Zero[0]) * acts.Scale[0]
		}
	}
	return out
}
