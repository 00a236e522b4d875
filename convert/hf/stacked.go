package hf

import (
	"strconv"

	"qpt/format/graph"
)

// stacked is the projection of expert e, or a part of it, in the tensor name.weight of this shape, whose first
// dimension counts experts. view says which rows.
func stacked(name string, e int, part string, shape []int, view graph.View) linear {
	return stackedTensor(name+".weight", name, e, part, shape, view)
}

// stackedTensor is stacked for a tensor with a name of its own.
func stackedTensor(tensor, name string, e int, part string, shape []int, view graph.View) linear {
	at := name + "." + strconv.Itoa(e)
	if part != "" {
		at += "." + part
	}
	view.Of, view.Shape, view.Index = tensor, shape, e
	return linear{name: at, weight: at + ".weight", view: &view}
}
