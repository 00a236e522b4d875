package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"qpt/convert/stored"
	"qpt/format/graph"
)

// scope is the names of the graph in work.
type scope struct {
	values       map[string]tensorMeta
	env          map[string]any // tensor, size, []*tensor of each name
	views        map[string]link
	version      map[string]int
	placeholders map[string]bool // which a node must not write to
}

// program is one on its way to a graph.
type program struct {
	records   *records
	model     model
	weights   map[string]tensorRecord
	constants map[string]tensorRecord

	scope
	b            *graph.Builder
	batch        graph.Dim // symbol, 0 if there is none
	symbol       string
	taken        map[string]bool // names of nodes
	arrangements map[string]string
	steps        map[string]step       // what made a value
	products     map[string][2]*tensor // the factors of values
	infinite     bool                  // some value may be infinite
	zeros        string                // a value of zeros [batch, 1, ..], once one is needed
	below        map[string]int        // bounds of the indices that integer values hold, as far as known
	positives    map[string]*tensor    // of which values are the truth values of "above 0"
	params       map[string]*stored.Tensor
	tensors      []*stored.Tensor
	static       []Static
	varies       map[string]bool // values that depend on the inputs
	notes        []string
	count        int    // nodes done
	at           string // name of the node in work
	n            *node
}

// link says that a tensor is a view of another: apply makes it of that one, invert makes that one of it, or is nil where the view is a part.
// Reading a name whose origin was written to since makes it anew; so in-place ops are seen by all that they are seen by in PyTorch.
type link struct {
	of            string
	apply, invert func(t *tensor) (*tensor, error)
	version       int
}

// run makes the graph.
func (p *program) run() (*graph.Graph, error) {
	doc := &p.model.Module.Graph
	p.values = doc.Values
	p.b, p.env, p.views, p.version = graph.NewBuilder(), map[string]any{}, map[string]link{}, map[string]int{}
	p.steps = map[string]step{}
	p.below, p.positives, p.taken, p.products, p.arrangements, p.params, p.placeholders = map[string]int{}, map[string]*tensor{}, map[string]bool{}, map[string][2]*tensor{}, map[string]string{}, map[string]*stored.Tensor{}, map[string]bool{}
	g, err := p.graph()
	if err != nil && !errors.Is(err, ErrArchive) && !errors.Is(err, ErrUnsupported) {
		err = fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return g, err
}

func (p *program) graph() (g *graph.Graph, err error) {
	defer func() {
		if r := recover(); r != nil {
			g, err = nil, fmt.Errorf("%w: %v", ErrArchive, r)
		}
	}()
	if err := p.inputs(); err != nil {
		return nil, err
	}
	if err := p.nodes(p.model.Module.Graph.Nodes, p.model.Module.Graph.Outputs); err != nil {
		return nil, err
	}
	if err := p.outputs(); err != nil {
		return nil, err
	}
	if g, err = p.prune(); err == nil && p.static != nil {
		g, err = p.quantized(g)
	}
	return g, err
}

// aliases are other names of ops.
var aliases = map[string]string{"clip": "clamp", "divide": "div", "true_divide": "div", "multiply": "mul", "subtract": "sub", "absolute": "abs", "negative": "neg", "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "not_equal": "ne",
	"concat": "cat", "concatenate": "cat", "row_stack": "vstack", "unsafe_chunk": "chunk", "unsafe_split": "split", "ravel": "flatten", "fix": "trunc", "linalg_matmul": "matmul",
	"special_expit": "sigmoid", "special_softmax": "softmax", "special_log_softmax": "log_softmax", "special_erf": "erf", "special_erfc": "erfc", "special_exp2": "exp2", "special_expm1": "expm1", "special_log1p": "log1p"}

// nodes does all of a graph that its outputs need, in order.
func (p *program) nodes(list []node, outputs []arg) error {
	if p.count += len(list); p.count > maxNodes {
		return fmt.Errorf("%w: %d nodes, at most %d", ErrArchive, p.count, maxNodes)
	}
	dead := unread(list, outputs)
	for i := range list {
		if dead[i] {
			continue
		}
		n := &list[i]
		p.n = n
		if p.at = n.Name; p.at == "" {
			p.at = fmt.Sprintf("node%d", i)
		}
		if err := p.guarded(n); err != nil {
			where := fmt.Sprintf("node %q (%s)", n.Name, n.Target)
			if m := n.module(); m != "" {
				where += fmt.Sprintf(" of module %q", m)
			}
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	return nil
}

// unread are nodes of which nobody reads a result, as x[0] of x[0].shape; what writes in place is read.
func unread(list []node, outputs []arg) map[int]bool {
	read, dead := map[string]bool{}, map[int]bool{}
	mark := func(a arg) {
		for _, name := range names(a) {
			read[name] = true
		}
	}
	for _, o := range outputs {
		mark(o)
	}
	for i, n := range slices.Backward(list) {
		name, overload, _ := strings.Cut(strings.TrimPrefix(n.Target, "torch.ops.aten."), ".")
		pure := name != n.Target && !strings.HasSuffix(name, "_") && !strings.Contains(overload, "out")
		if pure && !slices.ContainsFunc(n.Outputs, func(o arg) bool {
			return slices.ContainsFunc(names(o), func(name string) bool { return read[name] })
		}) {
			dead[i] = true
			continue
		}
		for _, in := range n.Inputs {
			mark(in.Arg)
		}
	}
	return dead
}

// guarded is node for programs that do not make sense: what their sizes and arguments lead to ends in an error.
func (p *program) guarded(n *node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: its arguments do not go together: %v", ErrArchive, r)
		}
	}()
	if err := p.node(n); err != nil {
		return err
	}
	_, err = p.b.Partial() // what the graph has against its nodes
	return err
}

// prune leaves out what no output needs.
func (p *program) prune() (*graph.Graph, error) {
	g, err := p.b.Graph()
	if err != nil {
		return nil, err
	}
	out := only(g, g.Outputs...)
	used := out.ParamMap()
	p.tensors = slices.DeleteFunc(p.tensors, func(t *stored.Tensor) bool { _, ok := used[t.Name]; return !ok })
	return out, out.Verify()
}

// inputs binds the placeholders.
func (p *program) inputs() error {
	g, sig := &p.model.Module.Graph, p.model.Module.Signature
	if len(sig.Inputs) != len(g.Inputs) {
		return fmt.Errorf("%w: %d input_specs for %d inputs", ErrArchive, len(sig.Inputs), len(g.Inputs))
	}
	used := map[string]bool{}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			for _, name := range names(in.Arg) {
				used[name] = true
			}
		}
	}
	for _, o := range g.Outputs {
		for _, name := range names(o) {
			used[name] = true
		}
	}
	users := 0
	for _, spec := range sig.Inputs {
		if len(spec) != 1 {
			return fmt.Errorf("%w: an input_spec of %d kinds", ErrArchive, len(spec))
		}
		for kind, s := range spec {
			var holder struct{ Name string }
			from, name := p.weights, ""
			switch kind {
			case "parameter":
				name = s.Parameter
			case "buffer":
				if name = s.Buffer; s.Persistent != nil && !*s.Persistent {
					from = p.constants
				}
			case "tensor_constant":
				name, from = s.Constant, p.constants
			case "user_input":
				var a arg
				if err := json.Unmarshal(s.Arg, &a); err != nil {
					return fmt.Errorf("%w: user_input: %w", ErrArchive, err)
				}
				if a.kind != "as_tensor" {
					continue // a number that export has baked in
				}
				if err := p.input(nameOf(a), users, used); err != nil {
					return err
				}
				users++
				continue
			case "constant_input":
				continue
			default:
				return fmt.Errorf("%w: an input of kind %q", ErrUnsupported, kind)
			}
			if err := json.Unmarshal(s.Arg, &holder); err != nil || holder.Name == "" {
				return fmt.Errorf("%w: %s %q has no placeholder", ErrArchive, kind, name)
			}
			if !used[holder.Name] {
				continue
			}
			t, ok := from[name]
			if !ok {
				return fmt.Errorf("%w: %s %q has no entry among the tensors", ErrArchive, kind, name)
			}
			c, err := p.records.numbers(name, t)
			if err != nil {
				return err
			}
			c.name = name
			p.env[holder.Name] = ofConstant(c)
			p.placeholders[holder.Name] = true
		}
	}
	return nil
}

// input is one of the user's.
func (p *program) input(name string, i int, used map[string]bool) error {
	meta, ok := p.model.Module.Graph.Values[name]
	if !ok || len(meta.Sizes) == 0 || len(meta.Sizes) > 8 {
		return fmt.Errorf("%w: input %q has no shape of 1 to 8 dimensions", ErrArchive, name)
	}
	kind := dtypes[meta.DType]
	if kind.size == 0 || kind.integer && kind.size < 4 {
		return fmt.Errorf("%w: input %q is of dtype %d: floats and integers of 32 or 64 bits are taken", ErrUnsupported, name, meta.DType)
	}
	t, dtype := &tensor{integer: kind.integer}, graph.Float
	if kind.integer {
		dtype = graph.Int
	}
	for j, s := range meta.Sizes {
		n := s.number()
		if n < 0 {
			if s.Expr == nil || !strings.HasPrefix(s.Expr.Text, "Symbol(") {
				return fmt.Errorf("%w: dimension %d of input %q is an expression, must be a number or a symbol", ErrUnsupported, j, name)
			}
			if j > 0 || p.symbol != "" && p.symbol != s.Expr.Text {
				return fmt.Errorf("%w: dimension %d of input %q is dynamic: only one symbol, the first dimension of inputs, may be (export with static height and width)", ErrUnsupported, j, name)
			}
			if p.symbol == "" {
				p.symbol, p.batch = s.Expr.Text, p.b.Symbol("B")
			}
			n = batch
		}
		t.axes, t.dims = append(t.axes, n), append(t.dims, []int{j})
		t.shape = append(t.shape, size{max(n, 1), n == batch})
		if n >= 0 {
			t.shape[j].n = n
		}
	}
	t.name = p.b.Input(fmt.Sprintf("input.%d", i), dtype, p.extents(t.axes)...)
	p.below[t.name] = p.rows(name)
	p.taken[t.name] = true
	p.env[name], p.placeholders[name] = t, true
	return nil
}

// rows is how many rows the tables have that an input, or a view of it, is looked up in; 0 if there are none.
func (p *program) rows(input string) int {
	doc, views := &p.model.Module.Graph, map[string]bool{input: true}
	tables := map[string]tensorRecord{}
	for _, spec := range p.model.Module.Signature.Inputs {
		for _, s := range spec {
			var holder struct{ Name string }
			if json.Unmarshal(s.Arg, &holder) == nil {
				tables[holder.Name] = p.weights[s.Parameter]
			}
		}
	}
	for _, n := range doc.Nodes {
		args := map[string]string{}
		for _, a := range n.Inputs {
			args[a.Name] = nameOf(a.Arg)
		}
		if op, _, _ := strings.Cut(strings.TrimPrefix(n.Target, "torch.ops.aten."), "."); op == "embedding" && views[args["indices"]] {
			if s := tables[args["weight"]].Meta.Sizes; len(s) == 2 && s[0].number() > 0 {
				return s[0].number()
			}
		} else if views[args["self"]] && len(n.Outputs) == 1 && slices.Contains([]string{"view", "reshape", "to", "_to_copy", "clone", "slice", "unsqueeze", "squeeze", "contiguous"}, op) {
			views[nameOf(n.Outputs[0])] = true
		}
	}
	return 0
}

// outputs names the results.
func (p *program) outputs() error {
	g, sig := &p.model.Module.Graph, p.model.Module.Signature
	for _, spec := range sig.Outputs {
		for kind := range spec {
			if kind != "user_output" {
				return fmt.Errorf("%w: an output of kind %q: the program changes its state or is for training; export model.eval() without buffers that it writes to", ErrUnsupported, kind)
			}
		}
	}
	n := 0
	for _, o := range g.Outputs {
		if o.kind == "as_none" {
			continue
		}
		if o.kind != "as_tensor" {
			return fmt.Errorf("%w: output %d is %s, must be a tensor", ErrUnsupported, n, o.kind)
		}
		p.at = fmt.Sprintf("output.%d", n)
		t, err := p.get(nameOf(o))
		if err == nil {
			if t.c == nil {
				t, err = p.ordered(t)
			} else {
				t, err = p.dense(t)
			}
		}
		if err != nil {
			return fmt.Errorf("output %d: %w", n, err)
		}
		if len(t.axes) == 0 {
			return fmt.Errorf("%w: output %d is a number without dimensions", ErrUnsupported, n)
		}
		if p.taken[p.at] {
			return fmt.Errorf("%w: a node is called %s", ErrUnsupported, p.at)
		}
		p.taken[p.at] = true
		p.b.Output(p.at, p.b.Node(p.at, graph.Reshape{Shape: p.extents(t.axes)}, []string{t.name}))
		n++
	}
	if n == 0 {
		return fmt.Errorf("%w: the program gives no tensor", ErrUnsupported)
	}
	return nil
}

// names are the tensors and symbols that an argument names.
func names(a arg) []string {
	var one struct {
		Name string
		As   string `json:"as_name"`
	}
	var list []json.RawMessage
	switch {
	case json.Unmarshal(a.raw, &list) == nil:
		var out []string
		for _, x := range list {
			var inner arg
			if json.Unmarshal(x, &one) == nil && one.Name+one.As != "" {
				out = append(out, one.Name+one.As)
			} else if json.Unmarshal(x, &inner) == nil {
				out = append(out, names(inner)...)
			}
			one.Name, one.As = "", ""
		}
		return out
	case json.Unmarshal(a.raw, &one) == nil && one.Name+one.As != "":
		return []string{one.Name + one.As}
	}
	return nil
}

func nameOf(a arg) string {
	if n := names(a); len(n) == 1 {
		return n[0]
	}
	return ""
}

// get is the tensor of a name as it is now.
func (p *program) get(name string) (*tensor, error) {
	t, ok := p.env[name].(*tensor)
	if !ok {
		why := "nothing in the program gives it"
		if _, later := p.values[name]; later {
			why = "inputs and nodes before give no such tensor, so the graph has a cycle or its nodes are out of order"
		}
		return nil, fmt.Errorf("%w: tensor %q is not defined here: %s", ErrArchive, name, why)
	}
	l, ok := p.views[name]
	if !ok {
		return t, nil
	}
	from, err := p.get(l.of)
	if err == nil {
		err = p.follows(name, l, false)
	}
	if err != nil || from.c != nil && t.c != nil || p.version[l.of] == l.version { // constants share their memory
		return t, err
	}
	if t, err = l.apply(from); err != nil {
		return nil, err
	}
	p.env[name] = t
	p.written(name)
	l.version = p.version[l.of]
	p.views[name] = l
	return t, nil
}

func (p *program) written(name string) { p.version[name]++ }

// write changes a tensor in place.
func (p *program) write(name string, t *tensor) error {
	old, err := p.get(name)
	if err != nil {
		return err
	}
	for root := name; ; {
		if p.placeholders[root] {
			return fmt.Errorf("%w: it writes to %q, an input, parameter or buffer of the program", ErrUnsupported, root)
		}
		l, view := p.views[root]
		if !view {
			break
		}
		if err := p.follows(root, l, true); err != nil {
			return err
		}
		root = l.of
	}
	if !slices.Equal(t.shape, old.shape) {
		if t, err = p.expand(t, old.shape); err != nil {
			return err
		}
	}
	if old.c != nil && t.c != nil {
		data := t.c.values()
		old.c.write(func(i int) float64 { return data[i] })
		for view := true; view; { // views of it are the same memory
			p.written(name)
			var l link
			l, view = p.views[name]
			name = l.of
		}
		return nil
	}
	if l, view := p.views[name]; view {
		if l.invert == nil {
			return fmt.Errorf("%w: it writes to a part of a tensor in place", ErrUnsupported)
		}
		back, err := l.invert(t)
		if err != nil {
			return err
		}
		if err := p.write(l.of, back); err != nil {
			return err
		}
		l.version = p.version[l.of]
		p.views[name] = l
	}
	p.env[name] = t
	p.written(name)
	return nil
}

// node does one node.
func (p *program) node(n *node) error {
	target, ok := strings.CutPrefix(n.Target, "torch.ops.")
	if !ok {
		target = strings.TrimPrefix(n.Target, "_operator.")
		return p.symbolic(target, n)
	}
	if strings.HasPrefix(target, "aten._assert") || strings.HasPrefix(target, "aten.sym_constrain_range") {
		return nil
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(target, "aten."), "quantized_decomposed."), ".")
	if target == "aten.sym_size.int" {
		return p.symbolic("sym_size", n)
	}
	if strings.HasPrefix(target, "higher_order.") {
		return p.inlined(n)
	}
	c := &call{p: p, n: n, args: map[string]arg{}}
	for _, a := range n.Inputs {
		if _, twice := c.args[a.Name]; twice {
			return fmt.Errorf("%w: argument %q is given twice", ErrArchive, a.Name)
		}
		c.args[a.Name] = a.Arg
	}
	inPlace := false
	if other, ok := aliases[strings.TrimSuffix(name, "_")]; ok {
		name = other + name[len(strings.TrimSuffix(name, "_")):]
	}
	op, ok := ops[name]
	if !ok && strings.HasSuffix(name, "_") {
		op, ok = ops[strings.TrimSuffix(name, "_")]
		inPlace = ok
	}
	if known := strings.HasPrefix(target, "aten.") || strings.HasPrefix(target, "quantized_decomposed."); !known || !ok {
		if strings.HasPrefix(target, "onednn.") {
			return fmt.Errorf("%w: the program was lowered for x86, its weights are packed: give the one before lower_pt2e_quantized_to_x86", ErrUnsupported)
		}
		return fmt.Errorf("%w: op %s is not known", ErrUnsupported, target)
	}
	list, err := op(c)
	if err == nil {
		err = c.err
	}
	if err != nil {
		return err
	}
	for name := range c.args {
		if !c.seen[name] && !harmless[name] {
			return fmt.Errorf("%w: argument %q of %s is not known", ErrUnsupported, name, target)
		}
	}
	p.shares(name, c)
	if inPlace {
		if turning[strings.TrimSuffix(name, "_")] {
			return fmt.Errorf("%w: op %s in place", ErrUnsupported, target)
		}
		self := "self"
		if _, ok := c.args[self]; !ok {
			self = "input"
		}
		of := nameOf(c.args[self])
		if err := p.write(of, list[0]); err != nil {
			return err
		}
		c.link = &link{of: of, apply: same, invert: same}
	}
	if c.links == nil && c.link != nil {
		c.links = []*link{c.link}
	}
	return p.define(n, list, c.links)
}

func same(t *tensor) (*tensor, error) { return t, nil }

// harmless arguments change nothing in what is computed here.
var harmless = map[string]bool{"pin_memory": true, "layout": true, "device": true, "memory_format": true, "cudnn_enabled": true, "cudnn_enable": true, "momentum": true, "half_to_float": true, "non_blocking": true, "copy": true,
	"N": true, "C": true, "HxW": true, "dtype": true, "p": true, "implicit": true}

// define binds the results of a node to their names.
func (p *program) define(n *node, list []*tensor, links []*link) error {
	var out []string
	if len(n.Outputs) == 1 && n.Outputs[0].kind == "as_tensors" {
		out = names(n.Outputs[0])
	} else {
		for _, o := range n.Outputs {
			out = append(out, nameOf(o))
		}
	}
	for i, name := range out[:min(len(out), len(list))] { // further results nobody may read
		if name == "" {
			return fmt.Errorf("%w: result %d has no name", ErrArchive, i)
		}
		t := list[i]
		if kind, ok := dtypes[p.values[name].DType]; ok && t.c != nil && t.c.integer != kind.integer {
			k := *t.c
			k.integer = kind.integer
			u := *t
			u.c, t = &k, &u
		}
		p.env[name] = t
		delete(p.views, name)
		if i < len(links) && links[i] != nil {
			k := *links[i]
			k.version = p.version[k.of]
			p.views[name] = k
		}
	}
	return nil
}

// inlined does the graph of an op of graphs that only says how to compute, or how to train, in place of it.
func (p *program) inlined(n *node) error {
	var doc *graphDoc
	var given []arg
	for _, in := range n.Inputs {
		if in.Arg.kind == "as_graph" {
			var holder struct{ Graph graphDoc }
			if doc != nil || json.Unmarshal(in.Arg.raw, &holder) != nil {
				return fmt.Errorf("%w: op of several graphs, of which the inputs choose", ErrUnsupported)
			}
			doc = &holder.Graph
		} else if doc != nil {
			given = append(given, in.Arg)
		}
	}
	name := strings.TrimPrefix(n.Target, "torch.ops.higher_order.")
	if doc == nil || !slices.Contains([]string{"wrap_with_set_grad_enabled", "wrap_with_autocast", "tag_activation_checkpoint", "wrap_activation_checkpoint", "wrap"}, name) {
		return fmt.Errorf("%w: op %s is not known", ErrUnsupported, name)
	}
	if len(given) < len(doc.Inputs) {
		return fmt.Errorf("%w: %d arguments for a graph of %d inputs", ErrArchive, len(given), len(doc.Inputs))
	}
	outer, at, inner := p.scope, p.at, map[string]any{}
	held := map[string]bool{}
	for i, in := range doc.Inputs {
		switch {
		case in.kind == "as_tensor":
			t, err := p.get(nameOf(given[i]))
			if err != nil {
				return err
			}
			inner[nameOf(in)], held[nameOf(in)] = t, true
		case nameOf(in) != "":
			if s, ok := p.env[nameOf(given[i])]; ok {
				inner[nameOf(in)] = s
			}
		}
	}
	p.scope = scope{values: doc.Values, env: inner, views: map[string]link{}, version: map[string]int{}, placeholders: held}
	err := p.nodes(doc.Nodes, doc.Outputs)
	var list []*tensor
	links := make([]*link, len(doc.Outputs))
	for i, o := range doc.Outputs {
		for at, view := nameOf(o), true; view; { // what is a view of an argument
			if k := slices.IndexFunc(doc.Inputs, func(a arg) bool { return nameOf(a) == at }); k >= 0 && o.kind == "as_tensor" {
				links[i] = &link{of: nameOf(given[k])}
			}
			var l link
			l, view = p.views[at]
			at = l.of
		}
		var t *tensor
		if err == nil && o.kind == "as_tensor" {
			t, err = p.get(nameOf(o))
		} else if err == nil {
			err = fmt.Errorf("%w: a graph that gives %s", ErrUnsupported, o.kind)
		}
		list = append(list, t)
	}
	p.scope, p.n, p.at = outer, n, at
	if err != nil {
		return err
	}
	return p.define(n, list, links)
}

// symbolic computes with sizes.
func (p *program) symbolic(op string, n *node) error {
	value := func(a arg) (size, error) {
		var num json.Number
		if a.kind == "as_int" && json.Unmarshal(a.raw, &num) == nil {
			v, err := num.Int64()
			return size{n: int(v)}, err
		}
		if s, ok := p.env[nameOf(a)].(size); ok {
			return s, nil
		}
		return size{}, fmt.Errorf("%w: a size that is %s", ErrUnsupported, a.kind)
	}
	if len(n.Inputs) != 2 || len(n.Outputs) != 1 {
		return fmt.Errorf("%w: %s of sizes", ErrUnsupported, op)
	}
	var out size
	if op == "sym_size" {
		t, err := p.get(nameOf(n.Inputs[0].Arg))
		if err != nil {
			return err
		}
		d, err := value(n.Inputs[1].Arg)
		if err != nil {
			return err
		}
		i, err := t.dim(d.n)
		if err != nil {
			return err
		}
		out = t.shape[i]
	} else {
		a, err := value(n.Inputs[0].Arg)
		if err != nil {
			return err
		}
		b, err := value(n.Inputs[1].Arg)
		if err != nil {
			return err
		}
		switch {
		case op == "mul" && !(a.batch && b.batch):
			out = size{a.n * b.n, a.batch || b.batch}
		case op == "floordiv" && !b.batch && b.n > 0 && a.n%b.n == 0:
			out = size{a.n / b.n, a.batch}
		case op == "add" && !a.batch && !b.batch:
			out = size{n: a.n + b.n}
		case op == "sub" && !a.batch && !b.batch:
			out = size{n: a.n - b.n}
		case slices.Contains([]string{"ge", "le", "gt", "lt", "eq", "ne"}, op): // of checks, which are not read
			return nil
		default:
			return fmt.Errorf("%w: %s of sizes that depend on the batch", ErrUnsupported, op)
		}
	}
	p.env[nameOf(n.Outputs[0])] = out
	return nil
}

// Ops lists the ops of torch.ops.aten that are read, sorted; in-place forms are those with _ behind.
func Ops() []string { return slices.Sorted(maps.Keys(ops)) }
