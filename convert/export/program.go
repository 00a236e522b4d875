package export

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"qpt/convert/stored"
	"qpt/format/graph"
)

// program is one on its way to a graph.
type program struct {
	records   records
	model     model
	weights   map[string]tensorRecord
	constants map[string]tensorRecord

	b            *graph.Builder
	batch        graph.Dim // symbol, 0 if there is none
	symbol       string
	env          map[string]any // tensor, size, []*tensor of each name
	views        map[string]link
	version      map[string]int
	placeholders map[string]bool
	taken        map[string]bool // names of nodes
	arrangements map[string]string
	products     map[string][2]*tensor // the factors of values
	params       map[string]*stored.Tensor
	tensors      []*stored.Tensor
	static       []Static
	varies       map[string]bool // values that depend on the inputs
	notes        []string
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
	if len(doc.Nodes) > maxNodes {
		return nil, fmt.Errorf("%w: %d nodes, at most %d", ErrArchive, len(doc.Nodes), maxNodes)
	}
	p.b, p.env, p.views, p.version = graph.NewBuilder(), map[string]any{}, map[string]link{}, map[string]int{}
	p.taken, p.products, p.arrangements, p.params, p.placeholders = map[string]bool{}, map[string][2]*tensor{}, map[string]string{}, map[string]*stored.Tensor{}, map[string]bool{}
	if err := p.inputs(); err != nil {
		return nil, err
	}
	for i := range doc.Nodes {
		n := &doc.Nodes[i]
		p.n = n
		if p.at = n.Name; p.at == "" {
			p.at = fmt.Sprintf("node%d", i)
		}
		if err := p.guarded(n); err != nil {
			where := fmt.Sprintf("node %q (%s)", n.Name, n.Target)
			if m := n.module(); m != "" {
				where += fmt.Sprintf(" of module %q", m)
			}
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	}
	if err := p.outputs(); err != nil {
		return nil, err
	}
	g, err := p.prune()
	if err == nil && p.static != nil {
		g, err = p.quantized(g)
	}
	return g, err
}

// guarded is node for programs that do not make sense: what their sizes and arguments lead to ends in an error.
func (p *program) guarded(n *node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: its arguments do not go together: %v", ErrArchive, r)
		}
	}()
	return p.node(n)
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
	p.taken[t.name] = true
	p.env[name], p.placeholders[name] = t, true
	return nil
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
		return nil, fmt.Errorf("%w: tensor %q is not defined here", ErrArchive, name)
	}
	l, ok := p.views[name]
	if !ok || t.c != nil { // constants share their memory
		return t, nil
	}
	from, err := p.get(l.of)
	if err != nil || p.version[l.of] == l.version {
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
	l, view := p.views[name]
	if p.placeholders[name] && !view {
		return fmt.Errorf("%w: it writes to %q, an input, parameter or buffer of the program", ErrUnsupported, name)
	}
	if old.c != nil {
		if t.c == nil {
			if view {
				return fmt.Errorf("%w: it writes computed numbers into a part of a constant", ErrUnsupported)
			}
			p.env[name] = t
			p.written(name)
			return nil
		}
		data := t.c.expand(old.c.shape).values()
		old.c.write(func(i int) float64 { return data[i] })
		return nil
	}
	if view {
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
	c := &call{p: p, n: n, args: map[string]arg{}}
	for _, a := range n.Inputs {
		if _, twice := c.args[a.Name]; twice {
			return fmt.Errorf("%w: argument %q is given twice", ErrArchive, a.Name)
		}
		c.args[a.Name] = a.Arg
	}
	inPlace := false
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
	if inPlace {
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
	return p.define(n, list, c.link)
}

func same(t *tensor) (*tensor, error) { return t, nil }

// harmless arguments change nothing in what is computed here.
var harmless = map[string]bool{"pin_memory": true, "layout": true, "device": true, "memory_format": true, "cudnn_enabled": true, "cudnn_enable": true, "momentum": true, "half_to_float": true, "non_blocking": true, "copy": true,
	"N": true, "C": true, "HxW": true, "dtype": true, "p": true, "implicit": true}

// define binds the results of a node to their names.
func (p *program) define(n *node, list []*tensor, l *link) error {
	if len(n.Outputs) == 1 && n.Outputs[0].kind == "as_tensors" {
		for i, name := range names(n.Outputs[0]) {
			if i < len(list) {
				p.env[name] = list[i]
			}
		}
		return nil
	}
	for i, o := range n.Outputs {
		if i >= len(list) {
			break // further results, which nobody may read
		}
		name := nameOf(o)
		if name == "" {
			return fmt.Errorf("%w: result %d has no name", ErrArchive, i)
		}
		p.env[name] = list[i]
		if l != nil && i == 0 {
			k := *l
			k.version = p.version[k.of]
			p.views[name] = k
		}
	}
	return nil
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
		default:
			return fmt.Errorf("%w: %s of sizes that depend on the batch", ErrUnsupported, op)
		}
	}
	p.env[nameOf(n.Outputs[0])] = out
	return nil
}

// param declares numbers as a param of this shape, under the name of the parameter that they are, if c says so, and nobody else has it.
func (p *program) param(c *constant, shape []int, data []float64) (string, error) {
	name := ""
	if c != nil {
		name = c.name
	}
	if name == "" {
		name = p.at + ".constant"
	}
	values := make([]float32, len(data))
	for i, x := range data {
		if values[i] = float32(x); values[i]-values[i] != 0 && x-x == 0 {
			return "", fmt.Errorf("tensor %q: %v is beyond float32", name, x)
		}
	}
	base := name
	for i := 1; ; i++ {
		old := p.params[name]
		if old == nil {
			break
		}
		if slices.Equal(old.Shape, shape) && slices.EqualFunc(old.Numbers.(numbers).data, values, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
			return name, nil
		}
		name = fmt.Sprintf("%s.%d", base, i)
	}
	t := &stored.Tensor{Name: name, Shape: slices.Clone(shape), Type: "F32"}
	if c != nil && len(c.scale) == shape[0] {
		t.Scale = c.scale
	}
	t.Numbers = numbers{t, values}
	p.params[name] = t
	p.tensors = append(p.tensors, t)
	return p.b.Param(name, shape...), nil
}

// numbers are the values of a tensor in memory.
type numbers struct {
	t    *stored.Tensor
	data []float32
}

// ReadRows implements stored.Numbers.
func (n numbers) ReadRows(r0, r1 int, dst []float32) error {
	width := len(n.data) / max(n.t.Shape[0], 1)
	if r0 < 0 || r1 < r0 || r1 > n.t.Shape[0] || len(dst) != (r1-r0)*width {
		return fmt.Errorf("tensor %q %v: rows %d to %d asked for as %d values", n.t.Name, n.t.Shape, r0, r1, len(dst))
	}
	copy(dst, n.data[r0*width:])
	return nil
}

// ReadPart implements stored.Numbers.
func (n numbers) ReadPart(from int, dst []float32) error {
	if from < 0 || from > len(n.data)-len(dst) {
		return fmt.Errorf("tensor %q %v: %d values from %d on asked for", n.t.Name, n.t.Shape, len(dst), from)
	}
	copy(dst, n.data[from:])
	return nil
}

// Ops lists the ops of torch.ops.aten that are read, sorted; in-place forms are those with _ behind.
func Ops() []string { return slices.Sorted(maps.Keys(ops)) }
