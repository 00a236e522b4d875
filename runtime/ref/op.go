package ref

import (
	"fmt"

	"qpt/format/graph"
)

// Call is one node to be computed: values are lists of tensors, one for each part of the
// batch, or one alone for values that have no rows of parts.
type Call struct {
	*run
	Node *graph.Node
	In   [][]graph.Tensor // [operand]
	Out  [][]graph.Tensor // [result], of any values
}

var ops = map[string]func(c *Call) error{}

// Register tells how an op is computed; its file calls it when the package starts.
func Register[T graph.Op](f func(c *Call, op T) error) {
	var op T
	if ops[op.Kind()] != nil {
		panic(fmt.Sprintf("ref: op %q is registered twice", op.Kind()))
	}
	ops[op.Kind()] = func(c *Call) error { return f(c, c.Node.Op.(T)) }
}

func (c *Call) do() error {
	f := ops[c.Node.Op.Kind()]
	if f == nil {
		return fmt.Errorf("ref: node %s: op %s is not implemented", c.Node.Name, c.Node.Op.Kind())
	}
	if err := f(c); err != nil {
		return fmt.Errorf("ref: node %s: %w", c.Node.Name, err)
	}
	return nil
}

// Operand is input j as part s of the results sees it.
func (c *Call) Operand(j, s int) graph.Tensor { return one(c.In[j], s) }

func one(list []graph.Tensor, s int) graph.Tensor {
	if len(list) == 1 {
		return list[0]
	}
	return list[s]
}

// EachRow calls f for every row (of the last dimension) of every tensor of the first result, from several goroutines.
func (c *Call) EachRow(f func(s, row int)) { c.eachRow(c.Out[0], f) }

// eachRow calls f for every row of every tensor.
func (r *run) eachRow(list []graph.Tensor, f func(s, row int)) {
	const block = 32
	type span struct{ s, row int }
	var spans []span
	for s := range list {
		for row := 0; row < list[s].Rows(); row += block {
			spans = append(spans, span{s, row})
		}
	}
	r.each(len(spans), func(i int) {
		s := spans[i]
		for row := s.row; row < min(s.row+block, list[s.s].Rows()); row++ {
			f(s.s, row)
		}
	})
}

// Param returns all of param i, nil for one that is absent.
func (c *Call) Param(i int) ([]float32, error) { return c.param(c.Node.Params[i]) }

// param returns a whole parameter (a bias, a norm's weight, a table), nil for "".
func (r *run) param(name string) ([]float32, error) {
	if name == "" {
		return nil, nil
	}
	shape := r.params[name].Shape
	n := 1
	for _, d := range shape {
		n *= d
	}
	rows := shape[0]
	if len(shape) == 1 {
		rows = 1
	}
	dst := make([]float32, n)
	return dst, r.src.ReadRows(name, 0, rows, dst)
}
