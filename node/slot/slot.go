// Package slot maps keys to the 16384 hash slots of a Redis Cluster and holds
// sets of slots.
package slot

import "bytes"

// Count is the number of hash slots of a cluster.
const Count = 16384

// Of returns the slot of key: CRC16/XMODEM of its hash tag, modulo Count.
func Of(key []byte) uint16 {
	return crc16(HashTag(key)) & (Count - 1)
}

// HashTag returns the part of key that decides its slot: the bytes between the
// first '{' and the first '}' after it if there are any, else the whole key.
func HashTag(key []byte) []byte {
	open := bytes.IndexByte(key, '{')
	if open < 0 {
		return key
	}
	length := bytes.IndexByte(key[open+1:], '}')
	if length <= 0 {
		return key
	}
	return key[open+1 : open+1+length]
}

// crcTable is CRC-16/XMODEM's (polynomial 0x1021, initial value 0).
var crcTable = makeCRCTable()

func makeCRCTable() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}

func crc16(data []byte) uint16 {
	var crc uint16
	for _, b := range data {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^b]
	}
	return crc
}
