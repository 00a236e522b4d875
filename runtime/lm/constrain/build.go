package constrain

import (
	"errors"
	"fmt"
	"slices"
)

// Limits of what Compile builds. A real schema takes some thousand nodes.
const (
	maxNodes = 1 << 18
	maxWork  = 1 << 24 // steps of building automata: about half a second
	maxSpec  = 1 << 20 // bytes of a schema, expression or grammar
)

// node is a state of a rule's automaton.
type node struct {
	edges []edge
	eps   []int32
	calls []call
	final bool // the rule may end here
}

// edge goes to a node by any byte of a range.
type edge struct {
	lo, hi byte
	to     int32
}

// call goes through another rule, then to ret.
type call struct{ rule, ret int32 }

// rule is named for messages. It begins at start and has one node that ends it.
type rule struct {
	name  string
	start int32
}

// builder makes the automaton. Its methods end Compile by a panic that recover turns into an error.
type builder struct {
	nodes []node
	rules []rule
	work  int
	long  bool // there is a long repetition

	json  jsonRules
	drawn map[string]*drawing // by the ranges of characters
}

func newBuilder() *builder { return &builder{drawn: map[string]*drawing{}} }

// failure is what the builder's panics carry.
type failure struct{ error }

func (b *builder) fail(format string, args ...any) { panic(failure{refuse(format, args...)}) }

// check ends Compile by an error.
func (b *builder) check(err error) {
	if err != nil {
		if !errors.Is(err, ErrSpec) {
			err = fmt.Errorf("%w: %w", ErrSpec, err)
		}
		panic(failure{err})
	}
}

func (b *builder) recover(err *error) {
	switch r := recover().(type) {
	case nil:
	case failure:
		*err = r.error
	default:
		panic(r)
	}
}

// spend counts work.
func (b *builder) spend(n int) {
	if b.work += n; b.work > maxWork {
		b.fail("it takes too much work: make it smaller, or its repetitions shorter")
	}
}

func (b *builder) node() int32 {
	if len(b.nodes) == maxNodes {
		b.fail("its automaton has more than %d states: make it smaller, or its repetitions shorter", maxNodes)
	}
	b.spend(1)
	b.nodes = append(b.nodes, node{})
	return int32(len(b.nodes) - 1)
}

func (b *builder) eps(from, to int32) {
	if from != to {
		b.nodes[from].eps = append(b.nodes[from].eps, to)
	}
}

func (b *builder) edge(from int32, lo, hi byte, to int32) {
	b.spend(1)
	b.nodes[from].edges = append(b.nodes[from].edges, edge{lo, hi, to})
}

// expr draws a language between two nodes.
type expr func(b *builder, from, to int32)

// declare makes a rule without a body, so that others can call it; define gives it one.
func (b *builder) declare(name string) int32 {
	b.rules = append(b.rules, rule{name, b.node()})
	return int32(len(b.rules) - 1)
}

func (b *builder) define(rule int32, e expr) {
	end := b.node()
	b.nodes[end].final = true
	e(b, b.rules[rule].start, end)
}

func (b *builder) rule(name string, e expr) int32 {
	r := b.declare(name)
	b.define(r, e)
	return r
}

func ref(rule int32) expr {
	return func(b *builder, from, to int32) {
		b.spend(1)
		b.nodes[from].calls = append(b.nodes[from].calls, call{rule, to})
	}
}

func lit(s string) expr {
	return func(b *builder, from, to int32) {
		if s == "" {
			b.eps(from, to)
		}
		for i := range len(s) {
			next := to
			if i < len(s)-1 {
				next = b.node()
			}
			b.edge(from, s[i], s[i], next)
			from = next
		}
	}
}

// anyOf is any of many texts, those that begin alike drawn once.
func anyOf(texts []string) expr {
	return func(b *builder, from, to int32) {
		texts := slices.Clone(texts)
		slices.Sort(texts)
		var draw func(from int32, texts []string, at int)
		draw = func(from int32, texts []string, at int) { // texts are alike up to at
			for len(texts) > 0 {
				if len(texts[0]) == at {
					b.eps(from, to)
					texts = texts[1:]
					continue
				}
				c, n := texts[0][at], 1
				for n < len(texts) && texts[n][at] == c {
					n++
				}
				next := to
				if n > 1 || len(texts[0]) > at+1 {
					next = b.node()
					draw(next, texts[:n], at+1)
				}
				b.edge(from, c, c, next)
				texts = texts[n:]
			}
		}
		draw(from, slices.Compact(texts), 0)
	}
}

func seq(list ...expr) expr {
	return func(b *builder, from, to int32) {
		for i, e := range list {
			next := to
			if i < len(list)-1 {
				next = b.node()
			}
			e(b, from, next)
			from = next
		}
		if len(list) == 0 {
			b.eps(from, to)
		}
	}
}

// alt is any of the list; none of an empty one.
func alt(list ...expr) expr {
	return func(b *builder, from, to int32) {
		for _, e := range list {
			e(b, from, to)
		}
	}
}

func opt(e expr) expr { return rep(e, 0, 1) }

// rep is e at least least times and at most most, -1 for any number.
func rep(e expr, least, most int) expr {
	return func(b *builder, from, to int32) {
		b.long = b.long || max(least, most) >= long
		at := b.node() // no edge may lead back into from, nor out of to
		b.eps(from, at)
		for range least {
			next := b.node()
			e(b, at, next)
			at = next
		}
		if most < 0 {
			loop := b.node()
			b.eps(at, loop)
			e(b, loop, loop)
			b.eps(loop, to)
			return
		}
		for range most - least {
			next := b.node()
			b.eps(at, to)
			e(b, at, next)
			at = next
		}
		b.eps(at, to)
	}
}

// trim takes out what leads to no text, and says whether the root has any.
func (b *builder) trim(root int32) bool {
	type user struct{ node, ret int32 } // of a rule: the node that calls it
	back := make([][]int32, len(b.nodes))
	callers := make([][]user, len(b.rules))
	starts := make(map[int32]int32, len(b.rules))
	for r := range b.rules {
		starts[b.rules[r].start] = int32(r)
	}
	good, alive := make([]bool, len(b.nodes)), make([]bool, len(b.rules))
	var todo []int32
	mark := func(n int32) {
		if !good[n] {
			good[n] = true
			todo = append(todo, n)
		}
	}
	waiting := make([][]call, len(b.nodes)) // calls that return to the node: by rule, from ret
	for i := range b.nodes {
		n := &b.nodes[i]
		for _, e := range n.edges {
			back[e.to] = append(back[e.to], int32(i))
		}
		for _, to := range n.eps {
			back[to] = append(back[to], int32(i))
		}
		for _, c := range n.calls {
			callers[c.rule] = append(callers[c.rule], user{int32(i), c.ret})
			waiting[c.ret] = append(waiting[c.ret], call{c.rule, int32(i)})
		}
		if n.final {
			mark(int32(i))
		}
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, from := range back[n] {
			mark(from)
		}
		for _, w := range waiting[n] {
			if alive[w.rule] {
				mark(w.ret)
			}
		}
		if r, ok := starts[n]; ok {
			alive[r] = true
			for _, u := range callers[r] {
				if good[u.ret] {
					mark(u.node)
				}
			}
		}
	}
	for i := range b.nodes {
		n := &b.nodes[i]
		n.edges = slices.DeleteFunc(n.edges, func(e edge) bool { return !good[e.to] })
		n.eps = slices.DeleteFunc(n.eps, func(to int32) bool { return !good[to] })
		n.calls = slices.DeleteFunc(n.calls, func(c call) bool { return !good[c.ret] || !alive[c.rule] })
	}
	return alive[root]
}

// nullable tells of each rule whether it may be the empty text.
func (b *builder) nullable() []bool {
	null := make([]bool, len(b.rules))
	for again := true; again; {
		again = false
		for r := range b.rules {
			if !null[r] {
				b.reach(b.rules[r].start, null, func(n *node) { null[r] = null[r] || n.final })
				again = again || null[r]
			}
		}
	}
	return null
}

// reach visits the nodes that can be come to without a byte.
func (b *builder) reach(from int32, null []bool, visit func(*node)) {
	seen := map[int32]bool{from: true}
	todo := []int32{from}
	for len(todo) > 0 {
		n := &b.nodes[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		b.spend(1)
		visit(n)
		follow := func(to int32) {
			if !seen[to] {
				seen[to] = true
				todo = append(todo, to)
			}
		}
		for _, to := range n.eps {
			follow(to)
		}
		for _, c := range n.calls {
			if null[c.rule] {
				follow(c.ret)
			}
		}
	}
}

// leftRecursion refuses rules that call themselves before any byte: their stack would never end.
func (b *builder) leftRecursion() {
	null := b.nullable()
	const open, done = 1, 2
	state := make([]int8, len(b.rules))
	var visit func(r int32)
	visit = func(r int32) {
		state[r] = open
		b.reach(b.rules[r].start, null, func(n *node) {
			for _, c := range n.calls {
				switch state[c.rule] {
				case open:
					b.fail("rule %q begins with itself: write it as a repetition, such as a (b a)*", b.rules[c.rule].name)
				case 0:
					visit(c.rule)
				}
			}
		})
		state[r] = done
	}
	for r := range b.rules {
		if state[r] == 0 {
			visit(int32(r))
		}
	}
}
