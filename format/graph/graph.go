// Package graph is the typed IR that describes every model (spec/ops.md).
//
// A Graph is a list of nodes in execution order over named values in
// single-assignment form. Nothing in it names a model family: the meaning of
// a model is the meaning of its ops. It is stored in the .qpt file as JSON.
package graph

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

// Param is a constant tensor. Name is the checkpoint's tensor name; it is
// also the name in the tensor directory of the .qpt file. Shape is [N, K] for
// linear weights, as HuggingFace stores them.
type Param struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

// Node applies one op. Name is the module path ("model.layers.0.self_attn.q_proj"),
// unique in the graph. In lists value names; Params the constant tensors, in
// the op's order, "" for an optional one that is absent.
type Node struct {
	Name   string   `json:"name"`
	Op     Op       `json:"op"` // the typed attributes; its kind is the op's name
	In     []string `json:"in"`
	Params []string `json:"params,omitempty"`
	Out    []string `json:"out"`
}

// Op holds the attributes of one op kind; see ops.go for the kinds.
type Op interface{ Kind() string }

// Graph is a whole model.
type Graph struct {
	Symbols []string `json:"symbols"`
	Inputs  []Value  `json:"inputs"`
	Outputs []string `json:"outputs"`
	Values  []Value  `json:"values"` // results of nodes, in order of definition
	Params  []Param  `json:"params"`
	Nodes   []Node   `json:"nodes"`
}
