package picture

import (
	"bytes"
	"encoding/binary"
)

// orientation is what the Exif data of a JPEG or PNG says of how the picture lies, 1 to 8; 1 if there is none that can be read.
func orientation(data []byte) int {
	if png, ok := bytes.CutPrefix(data, []byte("\x89PNG\r\n\x1a\n")); ok {
		for len(png) >= 12 {
			n := int(binary.BigEndian.Uint32(png))
			if n < 0 || n > len(png)-12 {
				break
			}
			if string(png[4:8]) == "eXIf" {
				return tiffOrientation(png[8 : 8+n])
			}
			png = png[12+n:]
		}
		return 1
	}
	for p := data[min(2, len(data)):]; len(p) >= 4 && p[0] == 0xff; {
		marker, n := p[1], int(binary.BigEndian.Uint16(p[2:]))
		if marker == 0xff { // filled up
			p = p[1:]
			continue
		}
		if marker == 0xda || n < 2 || n > len(p)-2 { // the scan begins
			break
		}
		if exif, ok := bytes.CutPrefix(p[4:2+n], []byte("Exif\x00\x00")); ok && marker == 0xe1 {
			return tiffOrientation(exif)
		}
		p = p[2+n:]
	}
	return 1
}

// tiffOrientation looks for tag 0x112, a number of 16 bits, in the first directory.
func tiffOrientation(d []byte) int {
	var order binary.ByteOrder = binary.LittleEndian
	if bytes.HasPrefix(d, []byte("MM\x00*")) {
		order = binary.BigEndian
	} else if !bytes.HasPrefix(d, []byte("II*\x00")) {
		return 1
	}
	if len(d) < 8 {
		return 1
	}
	at := int64(order.Uint32(d[4:]))
	if at > int64(len(d))-2 {
		return 1
	}
	list := d[at:]
	n := int(order.Uint16(list))
	for list = list[2:]; n > 0 && len(list) >= 12; n-- {
		if order.Uint16(list) == 0x112 && order.Uint16(list[2:]) == 3 {
			if o := int(order.Uint16(list[8:])); o >= 1 && o <= 8 {
				return o
			}
			return 1
		}
		list = list[12:]
	}
	return 1
}

// upright is the picture as it is to be seen, of one that lies as an orientation says.
func (p *Picture) upright(o int) *Picture {
	if o <= 1 {
		return p
	}
	q := &Picture{W: p.W, H: p.H, Pix: make([]byte, len(p.Pix))}
	if o >= 5 {
		q.W, q.H = p.H, p.W
	}
	for y := range q.H {
		for x := range q.W {
			sx, sy := x, y
			if o >= 5 { // the first row is a column
				sx, sy = y, x
			}
			if o == 2 || o == 3 || o == 7 || o == 8 {
				sx = p.W - 1 - sx
			}
			if o == 3 || o == 4 || o == 6 || o == 7 {
				sy = p.H - 1 - sy
			}
			copy(q.Pix[3*(y*q.W+x):][:3], p.Pix[3*(sy*p.W+sx):][:3])
		}
	}
	return q
}
