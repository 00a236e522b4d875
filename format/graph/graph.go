// Package graph is the typed IR that describes every model (spec/ops.md).
//
// A Graph is a list of nodes in execution order over named values in
// single-assignment form. Nothing in it names a model family: the meaning of
// a model is the meaning of its ops. It is stored in the .qpt file as JSON.
//
// Converters make one with a Builder; readers get one from Unmarshal. Both
// verify it, so that executors may trust what they walk: every name resolves,
// every shape fits. Dump prints it for people.
package graph

import (
	"fmt"
	"slices"
)

// Dim is one extent of a shape: a non-negative number, or the index of a
// symbol as -1-i (Symbols[i], such as "T", the tokens of this call).
type Dim int

// DType of a value between ops.
type DType string

// Value types. Values between ops are logically float32; how an executor
// stores them (bf16, int8) is its own affair.
const (
	Float DType = "f32"
	Int   DType = "i32"
)

// Value is an input of the graph or the result of one node.
type Value struct {
	Name  string `json:"name"`
	DType DType  `json:"dtype"`
	Shape []Dim  `json:"shape"`
}

// Param is a constant tensor. Name is the checkpoint's tensor name, or one that calibration added; it is
// also the name in the tensor directory of the .qpt file. Shape is [N, K] for
// linear weights, as HuggingFace stores them. View is set when the checkpoint
// has the numbers as a part of another tensor.
type Param struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
	View  *View  `json:"view,omitempty"`
}

// Node applies one op. Name is the module path ("model.layers.0.self_attn.q_proj"),
// unique in the graph. In lists value names; Params the constant tensors, in
// the op's order, "" for an optional one that is absent. Its JSON form is
// {"name", "op": the kind, "attrs": the typed attributes, "in", "params", "out"}.
type Node struct {
	Name   string
	Op     Op // by value: graph.Linear{}, never a pointer
	In     []string
	Params []string
	Out    []string
}

// Graph is a whole model.
type Graph struct {
	Symbols []string `json:"symbols"`
	Inputs  []Value  `json:"inputs"`
	Outputs []string `json:"outputs"`
	// Hidden are the values that users know as hidden states: the input of the first block, the output of
	// each, and what the last norm makes of the last one. None if they mean nothing (rotated models).
	Hidden []string `json:"hidden,omitempty"`
	Values []Value  `json:"values"` // results of nodes, in order of definition
	Params []Param  `json:"params"`
	Nodes  []Node   `json:"nodes"`
}

// ValueMap returns inputs and node results by name.
func (g *Graph) ValueMap() map[string]Value {
	m := make(map[string]Value, len(g.Inputs)+len(g.Values))
	for _, v := range g.Inputs {
		m[v.Name] = v
	}
	for _, v := range g.Values {
		m[v.Name] = v
	}
	return m
}

// ParamMap returns the constant tensors by name.
func (g *Graph) ParamMap() map[string]Param {
	m := make(map[string]Param, len(g.Params))
	for _, p := range g.Params {
		m[p.Name] = p
	}
	return m
}

// LastUse returns for each value the index of the last node that needs it:
// the last reader, or the defining node when nothing reads it. Inputs that
// nothing reads are absent; outputs of the graph have len(Nodes).
func (g *Graph) LastUse() map[string]int {
	last := make(map[string]int, len(g.Inputs)+len(g.Values))
	for i, n := range g.Nodes {
		for _, v := range n.In {
			last[v] = i
		}
		for _, v := range n.Out {
			last[v] = i
		}
	}
	for _, v := range g.Outputs {
		last[v] = len(g.Nodes)
	}
	return last
}

// Find tells which tensor of a file is input i: the one of its name, or "input.I"; "" if there is none.
func (g *Graph) Find(i int, names []string) string {
	for _, name := range []string{g.Inputs[i].Name, fmt.Sprintf("input.%d", i)} {
		if slices.Contains(names, name) {
			return name
		}
	}
	return ""
}

// ShapeString prints dimensions with the symbols' names: "[T, 64]".
func (g *Graph) ShapeString(shape []Dim) string {
	s := "["
	for i, d := range shape {
		if i > 0 {
			s += ", "
		}
		if j := -1 - int(d); d < 0 && j < len(g.Symbols) {
			s += g.Symbols[j]
		} else {
			s += fmt.Sprint(int(d))
		}
	}
	return s + "]"
}
