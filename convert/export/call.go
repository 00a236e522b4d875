package export

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
)

// call is a node's op with its arguments, taken by name with the default of PyTorch's schema; the first error sticks.
type call struct {
	p     *program
	n     *node
	args  map[string]arg
	seen  map[string]bool
	err   error
	link  *link    // of the first result, if it is a view of self
	links []*link  // of all results, if several are
	codes *qparams // of the argument that may be quantized
}

// ops are what each op of aten, of any overload, becomes.
var ops = map[string]func(c *call) ([]*tensor, error){}

func (c *call) fail(format string, a ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, a...)...)
	}
}

func (c *call) arg(name string) (arg, bool) {
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[name] = true
	a, ok := c.args[name]
	return a, ok && a.kind != "as_none"
}

// has tells whether an argument is given, and none of None.
func (c *call) has(name string) bool { _, ok := c.arg(name); return ok }

// tensor is a tensor argument; a number counts as a constant of one element.
func (c *call) tensor(name string) *tensor {
	a, ok := c.arg(name)
	if !ok {
		c.fail("argument %q is missing", name)
		return ofConstant(filled(nil, 0, false))
	}
	switch a.kind {
	case "as_tensor":
		t, err := c.p.get(nameOf(a))
		if err != nil {
			if c.err == nil {
				c.err = err
			}
			return ofConstant(filled(nil, 0, false))
		}
		if t.codes != nil && c.codes == nil {
			c.fail("argument %q is quantized: only dequantize_per_tensor takes that", name)
		}
		return t
	case "as_int", "as_float", "as_bool":
		return ofConstant(filled(nil, c.number(name), a.kind != "as_float"))
	}
	c.fail("argument %q is %s, must be a tensor", name, a.kind)
	return ofConstant(filled(nil, 0, false))
}

// boolean is the schema's number of the type.
const boolean = 12

// dtype is the schema's number of the first result's type, 0 if the program does not say it.
func (c *call) dtype() int {
	if len(c.n.Outputs) == 0 {
		return 0
	}
	return c.p.values[nameOf(c.n.Outputs[0])].DType
}

// real is a tensor argument as numbers to compute with: indices become float32.
func (c *call) real(name string) *tensor {
	t, err := c.p.real(c.tensor(name))
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("argument %q: %w", name, err)
	}
	return t
}

// optional is a tensor argument, nil for None.
func (c *call) optional(name string) *tensor {
	if !c.has(name) {
		return nil
	}
	return c.tensor(name)
}

// list is a list of tensors, nil for those that are None.
func (c *call) list(name string) (out []*tensor) {
	a, ok := c.arg(name)
	if !ok {
		c.fail("argument %q is missing", name)
		return nil
	}
	var items []json.RawMessage
	if json.Unmarshal(a.raw, &items) != nil {
		c.fail("argument %q is %s, must be a list of tensors", name, a.kind)
		return nil
	}
	for _, x := range items {
		inner := arg{"as_tensor", x}
		if a.kind == "as_optional_tensors" {
			if err := json.Unmarshal(x, &inner); err != nil {
				c.fail("argument %q: %v", name, err)
				return nil
			}
			if inner.kind == "as_none" {
				out = append(out, nil)
				continue
			}
		}
		t, err := c.p.get(nameOf(inner))
		if err != nil {
			c.fail("argument %q: %v", name, err)
			return nil
		}
		out = append(out, t)
	}
	return out
}

// booleans tells which of a list of tensors are of truth values.
func (c *call) booleans(name string) (out []bool) {
	a, _ := c.arg(name)
	var items []json.RawMessage
	if json.Unmarshal(a.raw, &items) != nil {
		c.fail("argument %q is %s, must be a list of tensors", name, a.kind)
	}
	for _, x := range items {
		out = append(out, c.p.values[nameOf(arg{"as_tensor", x})].DType == boolean || c.p.values[nameOf(arg{"as_tensors", json.RawMessage("[" + string(x) + "]")})].DType == boolean)
	}
	return out
}

// number is a number of any kind.
func (c *call) number(name string) float64 {
	a, ok := c.arg(name)
	if !ok {
		c.fail("argument %q is missing", name)
		return 0
	}
	var text string
	if json.Unmarshal(a.raw, &text) == nil {
		switch text {
		case "Infinity":
			return math.Inf(1)
		case "-Infinity":
			return math.Inf(-1)
		case "NaN":
			return math.NaN()
		}
	}
	var b bool
	if a.kind == "as_bool" && json.Unmarshal(a.raw, &b) == nil {
		if b {
			return 1
		}
		return 0
	}
	var x float64
	if a.kind != "as_int" && a.kind != "as_float" || json.Unmarshal(a.raw, &x) != nil {
		c.fail("argument %q is %s %.40s, must be a number", name, a.kind, a.raw)
	}
	return x
}

func (c *call) float(name string, def float64) float64 {
	if !c.has(name) {
		return def
	}
	return c.number(name)
}

func (c *call) bool(name string, def bool) bool {
	if !c.has(name) {
		return def
	}
	return c.number(name) != 0
}

func (c *call) string(name, def string) string {
	a, ok := c.arg(name)
	if !ok {
		return def
	}
	var s string
	if json.Unmarshal(a.raw, &s) != nil {
		c.fail("argument %q is %s, must be a string", name, a.kind)
	}
	return s
}

// size is one size.
func (c *call) size(a arg) size {
	var num json.Number
	if json.Unmarshal(a.raw, &num) == nil {
		v, err := num.Int64()
		if err == nil {
			return size{n: int(v)}
		}
	}
	if s, ok := c.p.env[nameOf(a)].(size); ok {
		return s
	}
	c.fail("a size that is %s %.60s", a.kind, a.raw)
	return size{n: 1}
}

func (c *call) int(name string, def int) int {
	a, ok := c.arg(name)
	if !ok {
		return def
	}
	s := c.size(a)
	if s.batch {
		c.fail("argument %q depends on the batch", name)
	}
	return s.n
}

// sizes are a list of sizes.
func (c *call) sizes(name string) (out []size) {
	a, ok := c.arg(name)
	if !ok {
		c.fail("argument %q is missing", name)
		return nil
	}
	if a.kind == "as_int" || a.kind == "as_sym_int" {
		return []size{c.size(a)}
	}
	var items []json.RawMessage
	if json.Unmarshal(a.raw, &items) != nil {
		c.fail("argument %q is %s, must be a list of sizes", name, a.kind)
		return nil
	}
	for _, x := range items {
		inner := arg{"as_int", x}
		if a.kind != "as_ints" {
			var as struct {
				Int  *json.Number `json:"as_int"`
				Name string       `json:"as_name"`
			}
			if json.Unmarshal(x, &as) != nil {
				c.fail("argument %q: %.60s", name, x)
				return nil
			}
			if as.Int != nil {
				inner.raw = json.RawMessage(as.Int.String())
			}
		}
		out = append(out, c.size(inner))
	}
	return out
}

// ints are a list of integers, def if absent; one of a single number counts for all of n, if n > 0.
func (c *call) ints(name string, n int, def ...int) (out []int) {
	if !c.has(name) {
		out = def
	} else {
		for _, s := range c.sizes(name) {
			if s.batch {
				c.fail("argument %q depends on the batch", name)
			}
			out = append(out, s.n)
		}
	}
	if n > 0 && len(out) == 1 {
		for len(out) < n {
			out = append(out, out[0])
		}
	}
	if n > 0 && len(out) != n && c.err == nil {
		c.fail("argument %q has %d numbers, must have %d", name, len(out), n)
		return make([]int, n)
	}
	return out
}

// floats are a list of numbers, nil if absent.
func (c *call) floats(name string) (out []float64) {
	a, ok := c.arg(name)
	if !ok {
		return nil
	}
	if json.Unmarshal(a.raw, &out) != nil {
		c.fail("argument %q is %s, must be a list of numbers", name, a.kind)
	}
	return out
}

// dims are dimensions of t, all if absent.
func (c *call) dims(name string, t *tensor) (out []int) {
	list := c.ints(name, 0)
	if len(list) == 0 {
		for i := range t.shape {
			list = append(list, i)
		}
	}
	for _, d := range list {
		i, err := t.dim(d)
		if err != nil {
			c.fail("%v", err)
			return nil
		}
		out = append(out, i)
	}
	return out
}

func (c *call) dim(name string, def int, t *tensor) int {
	d, err := t.dim(c.int(name, def))
	if err != nil {
		c.fail("%v", err)
		return 0
	}
	return d
}

// constant is a tensor argument whose numbers must be known; nil for None.
func (c *call) constant(name string) *constant {
	t := c.optional(name)
	if t == nil {
		return nil
	}
	k, err := c.p.known(t)
	if err != nil || k == nil {
		if c.err = cmp.Or(c.err, err); c.err == nil {
			c.fail("argument %q must not depend on the inputs", name)
		}
		return filled(nil, 0, false)
	}
	return k
}

// one is the list of one result.
func one(t *tensor, err error) ([]*tensor, error) { return []*tensor{t}, err }

// name is what the node is called: as its module, if that has one node alone, else as PyTorch calls it.
func (c *call) name() string {
	if m := c.n.module(); m != "" && !c.p.taken[m] {
		return m
	}
	return c.p.at
}
