package graph

// Live calls f for each node with how many numbers of a row are alive while it runs, and after it, when the nodes run one
// after the other. Every value counts as one with a row for each row of the parts.
func (g *Graph) Live(f func(node int, during, after int64)) {
	width := map[string]int64{}
	for _, v := range g.Values {
		width[v.Name] = 1
		for _, d := range v.Shape {
			width[v.Name] *= max(int64(d), 1)
		}
	}
	dies := map[int]int64{} // node -> numbers that it is the last to read
	for v, i := range g.LastUse() {
		dies[i] += width[v]
	}
	live := int64(0)
	for i, n := range g.Nodes {
		for _, v := range n.Out {
			live += width[v]
		}
		during := live
		live -= dies[i]
		f(i, during, live)
	}
}
