package hf

import (
	"fmt"

	"qpt/format/graph"
)

// decoder is all that distinguishes one decoder-only language model from another: a
// family's file fills it in from its config, and graph builds the model of it. What is left
// zero is not there.
type decoder struct {
	vocab, hidden int
	embed         string  // table [vocab, hidden], or [vocab, embedDim]
	embedScale    float64 // times the embedding
	embedNorm     *norm
	embedDim      int                        // of a narrow table; projIn widens it, projOut narrows it before the head
	begin         func(b *builder, h string) // reads the embedding
	projIn        *linear
	projOut       *linear
	positions     *linear // learned positions: weight is the table [n, hidden], a row for each
	blocks        []block
	final         *norm
	before        *dense // what the head reads is made by
	head          linear // weight [vocab, hidden]
	logitScale    float64
	logitCap      float64 // c: logits become c*tanh(logits/c)
}

// block is one layer: attention and what follows it. Each gets what the norm before it makes
// of the stream, and adds what the norm behind it makes of its result.
type block struct {
	at   string // the layer's name
	attn attention
	mlp  feedForward

	attnNorm, attnOut *norm
	mlpNorm, mlpOut   *norm
	parallel          bool                              // both get the layer's input; without mlpNorm the same norm of it
	after             bool                              // the norms before take sums instead: attnNorm the first, mlpNorm the second (BERT's order)
	fromNorm          bool                              // the residual is what the norm gave (Bloom)
	residual          float64                           // times what is added
	inner             bool                              // what it gives is no hidden state
	whole             func(b *builder, h string) string // builds all of it, in place of the rest
	end               func(b *builder, h string) string // made of what it gives
}

// norm is a layer norm or, with rms, a root mean square norm.
type norm struct {
	name   string // weight is name.weight, bias name.bias
	node   string // its node, where that is not name (a norm in several places)
	rms    bool
	eps    float64
	offset float64 // added to the weight
	bare   bool    // no weight
	bias   bool
	affine bool // weight and bias alone
}

// linear is a projection: a tensor of the checkpoint, or a part of one.
type linear struct {
	name           string // of its node
	weight, bias   string // params; bias "" for none
	view, biasView *graph.View
}

// plain is the projection whose tensors are name.weight and name.bias.
func plain(name string, bias bool) linear {
	l := linear{name: name, weight: name + ".weight"}
	if bias {
		l.bias = name + ".bias"
	}
	return l
}

// fused is a part of the projection of that name, which has rows rows of k values: those that
// view says (its Of and Shape are filled in). turned: the tensor is stored as [k, rows].
func fused(name, part string, rows, k int, bias, turned bool, view graph.View) linear {
	l := linear{name: name + "." + part, weight: name + "." + part + ".weight"}
	w := view
	w.Of, w.Shape, w.Transpose = name+".weight", []int{rows, k}, turned
	if turned {
		w.Shape = []int{k, rows}
	}
	l.view = &w
	if bias {
		v := view
		v.Of, v.Shape = name+".bias", []int{rows}
		l.bias, l.biasView = name+"."+part+".bias", &v
	}
	return l
}

// attention of a layer.
type attention struct {
	name           string // of its node and its cache
	q, k, v, o     linear
	heads, kvHeads int
	dim            int // of a head
	rope           *graph.RoPE
	qNorm, kNorm   *headNorm // before the rotation
	turnFirst      bool      // behind it
	clip           float64   // then q, k and v are kept within ±clip
	scale          float64
	window         int
	softcap        float64
	slopes         []float64
	rounded        bool    // slopes are Falcon's
	sinks          string  // param [heads]
	latent         *latent // in place of q, k and v
	both           bool    // sees what follows too
	relative       *relative
	distances      *distances
	outNorm        *norm // of what o reads
	gate           *gate // times what attention gives
	vNorm          *headNorm
	keysToo        bool    // there is no v: values are what k gives, before its norm
	shared         string  // attention of an earlier layer whose keys and values these are
	posKey         *linear // of distances, as are queries; nil for none
	posQuery       *linear
}

// distances are embeddings of the distances of keys from queries, whose keys and queries each layer projects: row of[distance + (len-1)/2] of a table [rows, hidden].
type distances struct {
	table string // module
	norm  *norm
	rows  int
	of    []int
	value string // in the graph
}

// relative is a bias for each distance of key from query: row buckets[distance + (len-1)/2] of a table [rows, heads].
type relative struct {
	table   string // param
	rows    int
	buckets []int
}

// headNorm is a norm of queries or keys.
type headNorm struct {
	norm
	whole bool // over all heads together; else over each
	// own: each head has weights of its own: a param [heads, dim], or one for each head, name.N.weight.
	own, apart bool
}

// feedForward is what follows attention in a layer.
type feedForward interface {
	build(b *builder, at, x string) string
}

// mlp is down(act(gate x) * up x), or without a gate down(act(up x)).
type mlp struct {
	gate, up, down linear
	inter          int
	act            string
	downNorm       *norm                                   // of what down reads
	with           func(b *builder, name, x string) string // an activation that has params, in place of act
}

// moe is a mixture of experts.
type moe struct {
	router       linear
	experts, top int
	cap          float64                                             // of the router's logits
	score        string                                              // "softmax", "sigmoid": of all experts, then the top ones; "top-softmax": of the top ones alone
	route        func(b *builder, at, scores string) (w, idx string) // in place of all that follows up to scale
	correction   string                                              // param [experts]: added to the scores for the choice, not to the weights
	wide         bool                                                // it is stored as [1, experts]
	// The choice is among the topGroups best of groups; groupScore says what a group is worth: its best score
	// ("max") or the sum of its two best ("top2"). topGroups 0: all.
	groups, topGroups int
	groupScore        string
	renormalize       bool    // the weights of the chosen sum to one
	scale             float64 // of the weights
	expert            func(e int) (gate, up, down linear)
	inter             int
	act               string
	bias              bool    // of experts
	limit             float64 // gpt_oss: its clamped gate, (up + 1) * gate * sigmoid(alpha gate), in place of act
	alpha             float64
	shared            *mlp
	sharedGate        *linear // of one row: times its sigmoid
}

// builder is a graph in the making.
type builder struct {
	*graph.Builder
	hidden   int
	ids, pos string
	whole    bool                 // texts are read as a whole: attention keeps nothing
	kept     map[string][2]string // keys and values, by the name of attention
	stream   string               // what the norm before an MLP reads
}

func (b *builder) keep(name, k, v string) {
	if b.kept == nil {
		b.kept = map[string][2]string{}
	}
	b.kept[name] = [2]string{k, v}
}

// graph builds the model: with read, one that reads texts, in place of the language model's head.
func (d *decoder) graph(read *reader) (*graph.Graph, error) {
	b := &builder{Builder: graph.NewBuilder(), hidden: d.hidden, whole: read != nil}
	t, r := b.Symbol("T"), b.Symbol("R")
	if read != nil {
		b.Symbol("S")
	}
	b.ids, b.pos = b.Input("ids", graph.Int, t), b.Input("pos", graph.Int, t)
	rows := b.Input("rows", graph.Int, r)

	width := d.hidden
	if d.embedDim > 0 {
		width = d.embedDim
	}
	table := b.Param(d.embed, d.vocab, width)
	h := b.Node(module(d.embed), graph.Embedding{}, []string{b.ids}, table)
	if s := d.embedScale; s != 0 && s != 1 {
		h = b.Scalar(module(d.embed)+".scaled", "mul", h, s)
	}
	if d.projIn != nil {
		h = b.linear(*d.projIn, h, d.hidden, width)
	}
	if p := d.positions; p != nil {
		at := b.Node(p.name, graph.Embedding{}, []string{b.pos}, b.matrix(*p, p.view.Shape[0]-p.view.From, d.hidden))
		h = b.Binary(p.name+".added", "add", h, at)
	}
	h = b.norm(d.embedNorm, h, d.hidden)
	b.Hidden(h)
	if d.begin != nil {
		d.begin(b, h)
	}
	for i := range d.blocks {
		h = d.blocks[i].build(b, h)
		b.Hidden(h)
	}
	if read != nil {
		h = b.norm(d.final, h, d.hidden)
		if d.projOut != nil {
			h, b.hidden = b.linear(*d.projOut, h, width, d.hidden), width
		}
		return read.build(b, h, rows)
	}
	h = b.Node("gather", graph.Gather{}, []string{h, rows}) // [R, hidden]
	h = b.norm(d.final, h, d.hidden)
	if d.projOut != nil {
		h = b.linear(*d.projOut, h, width, d.hidden)
	}
	b.Hidden(h)
	if d.before != nil {
		h = b.dense(d.before, h, width, d.before.name+".made")
	}
	y := b.linear(d.head, h, d.vocab, width)
	if s := d.logitScale; s != 0 && s != 1 {
		y = b.Scalar("logits.scaled", "mul", y, s)
	}
	y = b.softcap("logits", y, d.logitCap)
	b.Output("logits", y) // [R, V]
	return b.Graph()
}

// softcap makes x c*tanh(x/c); 0 leaves it.
func (b *builder) softcap(name, x string, c float64) string {
	if c == 0 {
		return x
	}
	return b.Scalar(name+".capped", "mul", b.unary(name+".tanh", "tanh", b.Scalar(name+".divided", "div", x, c)), c)
}

// module is a tensor's name without ".weight".
func module(tensor string) string {
	const suffix = ".weight"
	if n := len(tensor) - len(suffix); n > 0 && tensor[n:] == suffix {
		return tensor[:n]
	}
	return tensor
}

func (k *block) build(b *builder, h string) string {
	add := func(name, h, y string) string {
		if k.residual != 0 && k.residual != 1 {
			y = b.Scalar(name+".scaled", "mul", y, k.residual)
		}
		return b.Binary(name, "add", h, y)
	}
	if k.whole != nil {
		return k.whole(b, h)
	}
	at := k.at + "."
	if k.after {
		h = b.norm(k.attnNorm, add(at+"attn_residual", h, k.attn.build(b, h)), b.hidden)
		return b.norm(k.mlpNorm, add(at+"mlp_residual", h, k.mlp.build(b, k.at, h)), b.hidden)
	}
	n := b.norm(k.attnNorm, h, b.hidden)
	a := b.norm(k.attnOut, k.attn.build(b, n), b.hidden)
	if k.parallel {
		if k.mlpNorm != nil {
			n = b.norm(k.mlpNorm, h, b.hidden)
		}
		m := k.mlp.build(b, k.at, n)
		return add(at+"mlp_residual", add(at+"attn_residual", h, a), m)
	}
	if k.fromNorm {
		h = n
	}
	h = add(at+"attn_residual", h, a)
	b.stream = h
	n = b.norm(k.mlpNorm, h, b.hidden)
	m := b.norm(k.mlpOut, k.mlp.build(b, k.at, n), b.hidden)
	if k.fromNorm {
		h = n
	}
	if h = add(at+"mlp_residual", h, m); k.end != nil {
		h = k.end(b, h)
	}
	return h
}

// norm of x [.., width]; nil is none.
func (b *builder) norm(n *norm, x string, width int) string {
	if n == nil {
		return x
	}
	if n.node != "" {
		return b.normAs(n.node, n, x, width)
	}
	return b.normAs(n.name, n, x, width)
}

func (b *builder) normAs(node string, n *norm, x string, width int) string {
	weight, bias := "", ""
	if n.affine {
		of := func(part string) string {
			return b.Node(node+"."+part, graph.Constant{}, nil, b.Param(n.name+"."+part, width))
		}
		return b.Binary(node, "add", b.Binary(node+".scaled", "mul", x, of("weight")), of("bias"))
	}
	if !n.bare {
		weight = b.Param(n.name+".weight", width)
	}
	if n.bias {
		bias = b.Param(n.name+".bias", width)
	}
	if n.rms {
		return b.Node(node, graph.RMSNorm{Eps: n.eps, Offset: n.offset}, []string{x}, weight)
	}
	if n.offset == 0 {
		return b.Node(node, graph.LayerNorm{Eps: n.eps}, []string{x}, weight, bias)
	}
	w := b.Scalar(node+".weights", "add", b.Node(node+".weight", graph.Constant{}, nil, weight), n.offset)
	x = b.Binary(node+".times", "mul", b.bare(node+".bare", n, x), w)
	return b.Binary(node, "add", x, b.Node(node+".bias", graph.Constant{}, nil, bias))
}

// matrix declares a projection's weight [n, k].
func (b *builder) matrix(l linear, n, k int) string {
	if l.view != nil {
		return b.View(l.weight, *l.view, n, k)
	}
	return b.Param(l.weight, n, k)
}

func (b *builder) vector(name string, view *graph.View, n int) string {
	switch {
	case name == "":
		return ""
	case view != nil:
		return b.View(name, *view, n)
	}
	return b.Param(name, n)
}

// linear is x [.., k] times a projection [n, k].
func (b *builder) linear(l linear, x string, n, k int) string {
	return b.Linear(l.name, x, b.matrix(l, n, k), b.vector(l.bias, l.biasView, n))
}

// unary is an activation of x, an op or what composed has.
func (b *builder) unary(name, fn, x string) string {
	if of := composed[fn]; of != nil {
		return of(b, name, x)
	}
	return b.op(name, fn, x)
}

func (b *builder) op(name, fn, x string) string {
	return b.Node(name, graph.Unary{Func: fn}, []string{x})
}

func (a *attention) build(b *builder, x string) string {
	if a.latent != nil {
		return a.latent.build(b, a, x)
	}
	q, of := b.linear(a.q, x, a.heads*a.dim, b.hidden), b.kept[a.shared]
	k, v, own := of[0], of[1], a.shared == ""
	if own {
		k = b.linear(a.k, x, a.kvHeads*a.dim, b.hidden)
		if v = k; !a.keysToo {
			v = b.linear(a.v, x, a.kvHeads*a.dim, b.hidden)
		}
		v = b.headNorm(a.vNorm, v, a.kvHeads, a.dim)
	}
	norms := func() {
		if q = b.headNorm(a.qNorm, q, a.heads, a.dim); own {
			k = b.headNorm(a.kNorm, k, a.kvHeads, a.dim)
		}
	}
	if !a.turnFirst {
		norms()
	}
	if c := a.clip; c > 0 {
		for _, y := range []*string{&q, &k, &v} {
			*y = b.Scalar(*y+".min", "min", *y, c)
			*y = b.Scalar(*y+".clipped", "max", *y, -c)
		}
	}
	if a.rope != nil {
		if q = b.Node(a.name+".q_rope", *a.rope, []string{q, b.pos}); own {
			k = b.Node(a.name+".k_rope", *a.rope, []string{k, b.pos})
		}
	}
	if a.turnFirst {
		norms()
	}
	b.keep(a.name, k, v)
	op := graph.Attention{
		Heads: a.heads, KVHeads: a.kvHeads, HeadDim: a.dim, Scale: a.scale, Softcap: a.softcap, Slopes: a.slopes, Rounded: a.rounded,
		Mask: graph.Mask{Kind: "causal", Window: a.window}, Cache: a.name, Sinks: a.sinks != "",
	}
	if a.both {
		op.Mask.Kind = "full"
	}
	if a.both || b.whole {
		op.Cache = ""
	}
	var params []string
	if op.Sinks {
		params = append(params, b.Param(a.sinks, a.heads))
	}
	if r := a.relative; r != nil {
		op.Relative = r.buckets
		params = append(params, b.Param(r.table, r.rows, a.heads))
	}
	in := []string{q, k, v, b.pos}
	if d := a.distances; d != nil {
		op.Relative, op.PosKeys, op.PosQueries = d.of, a.posKey != nil, a.posQuery != nil
		for _, l := range []*linear{a.posKey, a.posQuery} {
			if l != nil {
				in = append(in, b.linear(*l, d.value, a.heads*a.dim, b.hidden))
			}
		}
	}
	y := b.norm(a.outNorm, b.Node(a.name, op, in, params...), a.heads*a.dim)
	if a.gate != nil {
		y = a.gate.build(b, a.name+".gated", x, y, a.heads*a.dim)
	}
	return b.linear(a.o, y, b.hidden, a.heads*a.dim)
}

// gate is act of a projection of the layer's input, width values that each go with as many of what it gates.
type gate struct {
	by    linear
	act   string
	width int
}

func (a *attention) gateBy(by linear, act string, width int) { a.gate = &gate{by, act, width} }

func (g *gate) build(b *builder, name, x, y string, of int) string {
	by := b.unary(name+".gate", g.act, b.linear(g.by, x, g.width, b.hidden))
	if g.width == of {
		return b.Binary(name, "mul", y, by)
	}
	parts := func(part, x string, each int) string {
		return b.Node(name+part, graph.Reshape{Shape: []graph.Dim{-1, graph.Dim(g.width), graph.Dim(each)}}, []string{x}) // symbol T
	}
	y = b.Binary(name+".parts", "mul", parts(".by_parts", y, of/g.width), parts(".gate_parts", by, 1))
	return b.Node(name, graph.Reshape{Shape: []graph.Dim{-1, graph.Dim(of)}}, []string{y})
}

// headNorm of q or k [T, heads*dim].
func (b *builder) headNorm(n *headNorm, x string, heads, dim int) string {
	if n == nil {
		return x
	}
	if n.whole {
		return b.norm(&n.norm, x, heads*dim)
	}
	at := n.name
	x = b.Node(at+".heads", graph.Reshape{Shape: []graph.Dim{-1, graph.Dim(heads), graph.Dim(dim)}}, []string{x}) // symbol T
	switch {
	case n.bare && n.rms:
		x = b.bareRMS(at, n.eps, x, 2)
	case n.apart: // name.N.weight
		var rows []string
		for h := range heads {
			w := fmt.Sprintf("%s.%d", n.name, h)
			c := b.Node(w, graph.Constant{}, nil, b.Param(w+".weight", dim))
			rows = append(rows, b.Node(w+".row", graph.Reshape{Shape: []graph.Dim{1, graph.Dim(dim)}}, []string{c}))
		}
		w := b.Node(at+".weights", graph.Concat{Axis: 0}, rows)
		x = b.bare(at+".bare", &n.norm, x)
		x = b.Binary(at, "mul", x, w)
	case n.own: // [heads, dim]
		w := b.Node(at+".weights", graph.Constant{}, nil, b.Param(n.name+".weight", heads, dim))
		x = b.bare(at+".bare", &n.norm, x)
		x = b.Binary(at, "mul", x, w)
	default:
		x = b.norm(&n.norm, x, dim)
	}
	return b.Node(at+".flat", graph.Reshape{Shape: []graph.Dim{-1, graph.Dim(heads * dim)}}, []string{x})
}

// bareRMS is a root mean square norm without weights along axis, the last.
func (b *builder) bareRMS(node string, eps float64, x string, axis int) string {
	mean := b.Node(node+".mean", graph.Reduce{Func: "mean", Axis: axis}, []string{b.Binary(node+".square", "mul", x, x)})
	return b.Binary(node, "mul", x, b.op(node+".rsqrt", "rsqrt", b.Scalar(node+".eps", "add", mean, eps)))
}

// bare is a layer norm without weights.
func (b *builder) bare(node string, n *norm, x string) string {
	return b.Node(node, graph.LayerNorm{Eps: n.eps}, []string{x}, "", "")
}

func (m *mlp) build(b *builder, at, x string) string {
	return m.named(b, at+".mlp", x)
}

// named builds the layers; at names what lies between them.
func (m *mlp) named(b *builder, at, x string) string {
	if m.gate.weight == "" {
		y := b.linear(m.up, x, m.inter, b.hidden)
		if m.with != nil {
			y = m.with(b, at+".act", y)
		} else {
			y = b.unary(at+".act", m.act, y)
		}
		return b.linear(m.down, y, b.hidden, m.inter)
	}
	gate := b.linear(m.gate, x, m.inter, b.hidden)
	up := b.linear(m.up, x, m.inter, b.hidden)
	gate = b.unary(at+".act_fn", m.act, gate)
	return b.linear(m.down, b.norm(m.downNorm, b.Binary(at+".gated", "mul", gate, up), m.inter), b.hidden, m.inter)
}

func (m *moe) build(b *builder, at, x string) string {
	at += ".moe"
	scores := b.softcap(at+".logits", b.linear(m.router, x, m.experts, b.hidden), m.cap)
	switch m.score {
	case "softmax":
		scores = b.Node(at+".scores", graph.Softmax{}, []string{scores})
	case "sigmoid":
		scores = b.unary(at+".scores", "sigmoid", scores)
	}
	route := m.best
	if m.route != nil {
		route = m.route
	}
	w, idx := route(b, at, scores)
	y := m.mixture(b, at, x, w, idx)
	if m.shared == nil {
		return y
	}
	s := m.shared.named(b, at+".shared", x)
	if m.sharedGate != nil {
		g := b.unary(at+".shared_gate", "sigmoid", b.linear(*m.sharedGate, x, 1, b.hidden))
		s = b.Binary(at+".shared_gated", "mul", s, g)
	}
	return b.Binary(at+".added", "add", y, s)
}

// best are the weights of the experts with the best scores, and which these are.
func (m *moe) best(b *builder, at, scores string) (w, idx string) {
	choice := scores
	if m.correction != "" {
		name, view := m.correction, (*graph.View)(nil)
		if m.wide {
			name, view = m.correction+".row", &graph.View{Of: m.correction, Shape: []int{1, m.experts}}
		}
		bias := b.Node(m.correction, graph.Constant{}, nil, b.vector(name, view, m.experts))
		choice = b.Binary(at+".corrected", "add", scores, bias)
	}
	if m.topGroups < m.groups {
		choice = m.withinGroups(b, at, choice)
	}
	w, idx = at+".weights", at+".chosen"
	b.Nodes(at+".topk", graph.TopK{K: m.top}, []string{choice}, nil, w, idx)
	switch {
	case m.correction != "":
		w = b.Node(at+".taken", graph.Take{}, []string{scores, idx})
	case m.score == "top-softmax":
		w = b.Node(at+".softmax", graph.Softmax{}, []string{w})
	}
	if m.renormalize {
		sum := b.Node(at+".sum", graph.Reduce{Func: "sum", Axis: 1}, []string{w})
		w = b.Binary(at+".normalized", "div", w, sum)
	}
	if m.scale != 0 && m.scale != 1 {
		w = b.Scalar(at+".scaled", "mul", w, m.scale)
	}
	return w, idx
}

// withinGroups takes scores [T, experts] of experts in groups that are not among the best far down.
func (m *moe) withinGroups(b *builder, at, scores string) string {
	reshape := func(name, x string, shape ...graph.Dim) string {
		return b.Node(at+name, graph.Reshape{Shape: append([]graph.Dim{-1}, shape...)}, []string{x}) // symbol T
	}
	groups := graph.Dim(m.groups)
	x := reshape(".groups", scores, groups, graph.Dim(m.experts/m.groups))
	best, fold := x, graph.Reduce{Func: "max", Axis: 2}
	if m.groupScore == "top2" {
		best, fold.Func = at+".two", "sum"
		b.Nodes(at+".two", graph.TopK{K: 2}, []string{x}, nil, best, at+".which")
	}
	best = reshape(".worth", b.Node(at+".best", fold, []string{best}), groups)
	b.Nodes(at+".open", graph.TopK{K: m.topGroups}, []string{best}, nil, at+".open", at+".groups_chosen")
	open := b.Node(at+".is_open", graph.OneHot{N: m.groups}, []string{at + ".groups_chosen"})
	shut := b.Scalar(at+".shut", "mul", b.Scalar(at+".is_shut", "add", open, -1), 1e30) // 0 or -1e30
	x = b.Binary(at+".limited", "add", x, reshape(".shut_groups", shut, groups, 1))
	return reshape(".choice", x, graph.Dim(m.experts))
}

// mixture is what the chosen experts make of x, weighted.
func (m *moe) mixture(b *builder, at, x, w, idx string) string {
	op := graph.ExpertLinear{Experts: m.experts, Bias: m.bias}
	layer := func(name, x string, n, k int, pick func(e int) linear) string {
		var weights, biases []string
		for e := range m.experts {
			l := pick(e)
			weights = append(weights, b.matrix(l, n, k))
			if m.bias {
				biases = append(biases, b.vector(l.bias, l.biasView, n))
			}
		}
		return b.Node(at+"."+name, op, []string{x, idx}, append(weights, biases...)...)
	}
	gate := layer("gate", x, m.inter, b.hidden, func(e int) linear { g, _, _ := m.expert(e); return g })
	up := layer("up", x, m.inter, b.hidden, func(e int) linear { _, u, _ := m.expert(e); return u })
	if m.limit > 0 { // gate clamped from above, up on both sides
		gate = b.Scalar(at+".gate_min", "min", gate, m.limit)
		up = b.Scalar(at+".up_min", "min", up, m.limit)
		up = b.Scalar(at+".up_max", "max", up, -m.limit)
		up = b.Scalar(at+".up_one", "add", up, 1)
	}
	if a := m.alpha; m.limit > 0 && a != 1.702 { // which quick_gelu has
		gate = b.unary(at+".act_fn", "silu", b.Scalar(at+".gate_steep", "mul", gate, a))
		gate = b.Scalar(at+".gate_flat", "div", gate, a)
	} else {
		gate = b.unary(at+".act_fn", m.act, gate)
	}
	y := b.Binary(at+".gated", "mul", gate, up)
	y = layer("down", y, b.hidden, m.inter, func(e int) linear { _, _, d := m.expert(e); return d })
	return b.Node(at+".mixed", graph.WeightedSum{}, []string{y, w})
}
