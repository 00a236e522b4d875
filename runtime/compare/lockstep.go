package compare

import (
	"context"
	"fmt"
	"math"
	"slices"

	"qpt/format"
	"qpt/format/graph"
	"qpt/format/rewrite"
	"qpt/kernels/linear"
	"qpt/runtime"
	"qpt/runtime/diff"
	"qpt/runtime/exec"
	"qpt/runtime/lm"
	"qpt/runtime/ref"
)

// NodeDiff is the distance of one node's result from the FP32 executor's.
type NodeDiff struct {
	Node   *graph.Node
	Scheme string // of the node's weights, "" without any
	// Local compares on the FP32 inputs of the node: its own error.
	// Cumulative compares within the quantized run: all errors so far.
	Local, Cumulative diff.Tensor
	// Values are those of the FP32 result. RowMax is the greatest magnitude of
	// a token's row, averaged: the range when it is chosen for each token.
	Values diff.Histogram
	RowMax float64
	// Low and High are the range of a value that s8s8 layers read, as the
	// channels of the original see it on average, and Clipped is the share of
	// FP32's values more than half a step outside; 0 for others. A turned value has no range in the original's channels.
	Low, High, Clipped float64

	rows int
}

// LockStep is what RunLockStep found about one model.
type LockStep struct {
	Nodes  []NodeDiff // in execution order
	Logits diff.Logits

	m    *runtime.Model
	made *rewrite.Model // of the original
}

// LockStepOptions of RunLockStep; the zero value works.
type LockStepOptions struct {
	// Logits, if set, sees the prediction after every token of seqs: FP32's,
	// each model's, and the KL of each from FP32. The slices are reused.
	Logits func(seq, pos int, want []float32, got [][]float32, kl []float64)
	// Progress, if set, is called after each node of each sequence.
	Progress func(done, total int)
}

// logitRows is how many rows of logits are in memory at a time.
const logitRows = 32

// RunLockStep runs the FP32 executor on the original weights once, and these
// models beside it, over seqs, and compares the result of every node. The
// models come from one checkpoint: their graphs must have the same nodes.
// Sequences run one after the other; memory holds the live values of one, a few
// rows of logits (all of a sequence where a model does not end with a linear layer), and a block of the source's weights.
func RunLockStep(ctx context.Context, models []*lm.Model, src graph.Source, seqs [][]int32, opt LockStepOptions) (out []*LockStep, err error) {
	if len(models) == 0 {
		return nil, nil
	}
	list := make([]*runtime.Model, len(models))
	for i, m := range models {
		list[i] = m.Model
	}
	err = exclusive(ctx, list, func(cores []*exec.Workspace) (err error) {
		out, err = runLockStep(ctx, list, cores, src, seqs, opt)
		return err
	})
	return out, err
}

// exclusive calls f when the cores of all models are its own.
func exclusive(ctx context.Context, models []*runtime.Model, f func(cores []*exec.Workspace) error) error {
	cores := make([]*exec.Workspace, len(models))
	run := func() error { return f(cores) }
	for i, m := range models {
		if slices.Contains(models[:i], m) {
			return fmt.Errorf("%s is given twice: load it a second time to compare it with itself", m.File.Path())
		}
		inner := run
		run = func() error {
			return m.Exclusive(ctx, func(ws *exec.Workspace) error { cores[i] = ws; return inner() })
		}
	}
	return run()
}

func runLockStep(ctx context.Context, models []*runtime.Model, cores []*exec.Workspace, src graph.Source, seqs [][]int32, opt LockStepOptions) ([]*LockStep, error) {
	g := models[0].Graph
	block := logitRows
	if _, ok := g.Nodes[len(g.Nodes)-1].Op.(graph.Linear); !ok { // logits are scaled, or kept within bounds: all rows of a sequence at once
		block = 0
	}
	r := &lockStep{ctx: ctx, opt: opt, seqs: seqs}
	original, err := r.begin(models, cores, src, block > 0)
	if err != nil {
		return nil, err
	}
	for i, ids := range seqs {
		r.seq, r.pos = i, 0
		for _, p := range r.models {
			if err := p.start(tokens(ids)); err != nil {
				return nil, err
			}
			p.seq = p.m.NewSequence(len(ids))
		}
		want, err := ref.Logits(ctx, original, graph.Views(original, src), []ref.Seq{{IDs: ids}}, ref.Options{Threads: models[0].Threads(), Dot: linear.MatMul(), Block: block, Tap: r.tap})
		if err != nil {
			return nil, err
		}
		for block == 0 && r.err == nil && r.pos < len(ids) {
			from, to := r.pos, min(r.pos+logitRows, len(ids))
			width := want[0].Shape[1]
			r.predictions(graph.Tensor{Shape: []int{to - from, width}, F: want[0].F[from*width : to*width]})
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return r.done(), nil
}

// begin plans the models, with the last node apart if so, and returns the graph of the original.
func (r *lockStep) begin(models []*runtime.Model, cores []*exec.Workspace, src graph.Source, head bool) (*graph.Graph, error) {
	g := models[0].Graph
	original, _, err := original(models[0])
	if err != nil {
		return nil, err
	}
	r.index = map[string]int{}
	for i := range g.Nodes {
		r.index[g.Nodes[i].Name] = i
	}
	for i, m := range models {
		if !sameNodes(m.Graph, g) {
			return nil, fmt.Errorf("%s and %s have different graphs: compare them one by one", models[0].File.Path(), m.File.Path())
		}
		p, err := newLockStepped(m, cores[i], src, head)
		if err != nil {
			return nil, err
		}
		r.models = append(r.models, p)
	}
	return original, nil
}

// done is what was found about each model.
func (r *lockStep) done() (out []*LockStep) {
	for _, p := range r.models {
		for i := range p.Nodes {
			n := &p.Nodes[i]
			n.RowMax /= float64(max(n.rows, 1))
			n.Clipped /= float64(max(n.Values.N(), 1))
		}
		out = append(out, p.LockStep)
	}
	return out
}

// sameNodes tells whether two graphs compute the same values in the same order; parameters may differ.
func sameNodes(a, b *graph.Graph) bool {
	return slices.EqualFunc(a.Nodes, b.Nodes, func(a, b graph.Node) bool { return a.Name == b.Name && slices.Equal(a.In, b.In) })
}

// lockStep is the state of one RunLockStep.
type lockStep struct {
	ctx    context.Context
	opt    LockStepOptions
	index  map[string]int // node -> its number
	models []*lockStepped
	seqs   [][]int32
	seq    int // the one that runs
	pos    int // of its next row of logits
	err    error
}

// lockStepped is one model of it.
type lockStepped struct {
	*LockStep
	// body is what whole runs in one pass and alone node by node on FP32 inputs: of an encoder the graph, of a
	// language model the graph without its last node, which runs logitRows at a time, in text and, on FP32 inputs, in head.
	body, full   *exec.Program // full is nil of an encoder
	whole, alone *exec.Trace
	seq          *exec.Sequence // of text

	wholeWS, aloneWS, headWS, textWS *exec.Workspace
}

func newLockStepped(m *runtime.Model, ws *exec.Workspace, src graph.Source, head bool) (p *lockStepped, err error) {
	p = &lockStepped{
		LockStep: &LockStep{m: m, Nodes: make([]NodeDiff, len(m.Graph.Nodes))},
		wholeWS:  ws.Beside(), aloneWS: ws.Beside(), headWS: ws.Beside(), textWS: ws,
	}
	body := *m.Graph
	if head {
		if p.full, err = exec.Compile(m.Graph, m, exec.Options{NoFuse: true}); err != nil {
			return nil, err
		}
		last := len(body.Nodes) - 1
		body.Nodes, body.Outputs = body.Nodes[:last], body.Nodes[last].In
	}
	if p.body, err = exec.Compile(&body, m, exec.Options{NoFuse: true}); err != nil {
		return nil, err
	}
	for i := range m.Graph.Nodes {
		n := &m.Graph.Nodes[i]
		p.Nodes[i].Node = n
		for _, name := range n.Params {
			if t := m.Tensor(name); t != nil && len(t.Shape) == 2 {
				p.Nodes[i].Scheme = t.Scheme
			}
		}
	}
	_, replay, err := original(m)
	if err != nil {
		return nil, err
	}
	if p.made, err = replay(src); err != nil {
		return nil, err
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		value := n.Node.Out[0]
		a, static := m.Activation(value)
		if !static || p.made.Turned(value) {
			continue
		}
		step := float64(a.Scale)
		if scales := p.made.Scales(value); scales != nil {
			sum := 0.0
			for _, s := range scales {
				sum += float64(s)
			}
			step *= sum / float64(len(scales))
		}
		n.Low, n.High = step*float64(-a.Zero), step*float64(255-a.Zero)
	}
	return p, nil
}

// start begins one sequence.
func (p *lockStepped) start(b *graph.Batch) (err error) {
	if p.whole, err = p.body.Trace(p.wholeWS, b); err != nil {
		return err
	}
	p.alone, err = p.body.Trace(p.aloneWS, b)
	return err
}

// tokens is a pass over ids that wants all rows.
func tokens(ids []int32) *graph.Batch {
	rows := make([]int32, len(ids))
	for i := range rows {
		rows[i] = int32(i)
	}
	return &graph.Batch{
		Parts:  []graph.Part{{N: len(ids), Rows: rows}},
		Inputs: map[string]graph.Tensor{"ids": {Shape: []int{len(ids)}, I: ids}},
	}
}

// tap compares one result of the FP32 executor, in blocks of rows for the last node.
func (r *lockStep) tap(n *graph.Node, _ int, ins []graph.Tensor, result graph.Tensor) {
	if r.err != nil {
		return
	}
	i := r.index[n.Name]
	rows := result.Shape[0]
	whole := r.models[0].full == nil || i < len(r.index)-1
	var texts [][]float32
	if !whole {
		texts = r.predictions(result)
	}
	if r.err != nil {
		return
	}
	for m, p := range r.models {
		d := &p.Nodes[i]
		d.add(rows, result.F)
		if a, ok := p.m.Activation(n.Out[0]); ok {
			d.Clipped += clipped(a, p.made.To(n.Out[0], result.F))
		}
		args := make([][]float32, len(ins))
		for j, t := range ins {
			args[j] = p.made.To(n.In[j], t.F)
		}
		if whole {
			d.Cumulative.Add(result.F, p.made.From(n.Out[0], p.whole.Node(i)))
			d.Local.Add(result.F, p.made.From(n.Out[0], p.alone.Local(i, args)))
			continue
		}
		head, err := p.full.Trace(p.headWS, tokens(r.seqs[r.seq][r.pos-rows:r.pos]))
		if err != nil {
			r.err = err
			return
		}
		d.Cumulative.Add(result.F, texts[m])
		d.Local.Add(result.F, head.Local(i, args))
	}
	if r.opt.Progress != nil && (whole || r.pos == len(r.seqs[r.seq])) {
		nodes := len(r.index)
		r.opt.Progress(r.seq*nodes+i+1, len(r.seqs)*nodes)
	}
}

// predictions are what the models give for the next rows of a sequence, of which the FP32 executor gives want.
func (r *lockStep) predictions(want graph.Tensor) (logits [][]float32) {
	rows := want.Shape[0]
	var kl []float64
	for _, p := range r.models {
		b := tokens(r.seqs[r.seq][r.pos : r.pos+rows])
		b.Parts[0].Seq, b.Parts[0].End = p.seq, len(r.seqs[r.seq])
		out, err := p.m.Program().Run(r.ctx, p.textWS, b)
		if err != nil {
			r.err = err
			return nil
		}
		logits = append(logits, out[0].F)
		for row := range rows {
			kl = append(kl, p.Logits.Add(want.Row(row), rowOf(out[0].F, row, rows)))
		}
	}
	r.show(want, logits, kl)
	return logits
}

// rowOf is one of the rows of a tensor.
func rowOf(x []float32, row, rows int) []float32 {
	n := len(x) / rows
	return x[row*n : (row+1)*n]
}

// clipped counts the values that a static range leaves out by more than half a step.
func clipped(a format.Activation, x []float32) (n float64) {
	lo, hi := a.Scale*(float32(-a.Zero)-0.5), a.Scale*(float32(255-a.Zero)+0.5)
	for _, v := range x {
		if v < lo || v > hi {
			n++
		}
	}
	return n
}

// show passes a block of predictions on, row by row.
func (r *lockStep) show(want graph.Tensor, logits [][]float32, kl []float64) {
	rows := want.Shape[0]
	for row := range rows {
		if r.opt.Logits != nil {
			var got [][]float32
			var each []float64
			for j := range r.models {
				got = append(got, rowOf(logits[j], row, rows))
				each = append(each, kl[j*rows+row])
			}
			r.opt.Logits(r.seq, r.pos+row, want.Row(row), got, each)
		}
	}
	r.pos += rows
}

// add counts the values of an FP32 result of some rows.
func (d *NodeDiff) add(rows int, x []float32) {
	d.Values.Add(x)
	k := len(x) / rows
	for i := range rows {
		var top float64
		for _, v := range x[i*k : (i+1)*k] {
			top = max(top, math.Abs(float64(v)))
		}
		d.RowMax += top
	}
	d.rows += rows
}
