package linear

// transposeRows is Transpose for the rows from i on.
func transposeRows(t []float32, ld int, rows [][]float32, i int) {
	for ; i < len(rows); i++ {
		for k, v := range rows[i] {
			t[k*ld+i] = v
		}
	}
}
