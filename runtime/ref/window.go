package ref

import "qpt/format/graph"

// grid walks the places of r spatial dimensions.
type grid struct {
	lead     int   // images: the product of the extents before
	in, out  []int // extents
	channels int
}

func gridOf(x, y graph.Tensor, r int) grid {
	n := len(x.Shape)
	lead, _ := around(x.Shape, n-1-r)
	return grid{lead, x.Shape[n-1-r : n-1], y.Shape[len(y.Shape)-1-r : len(y.Shape)-1], x.Shape[n-1]}
}

func product(list []int) int {
	n := 1
	for _, v := range list {
		n *= v
	}
	return n
}

// place is the index in each dimension of element i of these extents.
func place(i int, extents []int) []int {
	p := make([]int, len(extents))
	for j := len(extents) - 1; j >= 0; j-- {
		p[j] = i % extents[j]
		i /= extents[j]
	}
	return p
}

// at is the row of x at a place of an image, -1 outside.
func (g grid) at(image int, p []int) int {
	for j, n := range g.in {
		if p[j] < 0 || p[j] >= n {
			return -1
		}
		image = image*n + p[j]
	}
	return image
}
