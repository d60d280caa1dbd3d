/** The works that a run's methods come from, as BibTeX. */
const WORKS = {
  Liu2021: `@article{Liu2021,
  author  = {Liu, Yuhan Helena and Smith, Stephen and Mihalas, Stefan and Shea-Brown, Eric and S{\\"u}mb{\\"u}l, Uygar},
  title   = {Cell-type-specific neuromodulation guides synaptic credit assignment in a spiking neural network},
  journal = {Proceedings of the National Academy of Sciences},
  year    = {2021}, volume = {118}, number = {51}, pages = {e2111821118},
  doi     = {10.1073/pnas.2111821118}
}`,
  Bellec2020: `@article{Bellec2020,
  author  = {Bellec, Guillaume and Scherr, Franz and Subramoney, Anand and Hajek, Elias and Salaj, Darjan and Legenstein, Robert and Maass, Wolfgang},
  title   = {A solution to the learning dilemma for recurrent networks of spiking neurons},
  journal = {Nature Communications},
  year    = {2020}, volume = {11}, pages = {3625},
  doi     = {10.1038/s41467-020-17236-y}
}`,
  Bellec2018: `@inproceedings{Bellec2018,
  author    = {Bellec, Guillaume and Salaj, Darjan and Subramoney, Anand and Legenstein, Robert and Maass, Wolfgang},
  title     = {Long short-term memory and learning-to-learn in networks of spiking neurons},
  booktitle = {Advances in Neural Information Processing Systems 31},
  year      = {2018}, eprint = {1803.09574}, archiveprefix = {arXiv},
  doi       = {10.48550/arXiv.1803.09574}
}`,
  Bellec2018b: `@inproceedings{Bellec2018b,
  author    = {Bellec, Guillaume and Kappel, David and Maass, Wolfgang and Legenstein, Robert},
  title     = {Deep rewiring: training very sparse deep networks},
  booktitle = {International Conference on Learning Representations},
  year      = {2018}, eprint = {1711.05136}, archiveprefix = {arXiv},
  doi       = {10.48550/arXiv.1711.05136}
}`,
  Werbos1990: `@article{Werbos1990,
  author  = {Werbos, Paul J.},
  title   = {Backpropagation through time: what it does and how to do it},
  journal = {Proceedings of the IEEE},
  year    = {1990}, volume = {78}, number = {10}, pages = {1550--1560},
  doi     = {10.1109/5.58337}
}`,
  Murray2019: `@article{Murray2019,
  author  = {Murray, James M.},
  title   = {Local online learning in recurrent networks with random feedback},
  journal = {eLife},
  year    = {2019}, volume = {8}, pages = {e43299},
  doi     = {10.7554/eLife.43299}
}`,
  Liu2022: `@inproceedings{Liu2022,
  author    = {Liu, Yuhan Helena and Smith, Stephen and Mihalas, Stefan and Shea-Brown, Eric and S{\\"u}mb{\\"u}l, Uygar},
  title     = {Biologically-plausible backpropagation through arbitrary timespans via local neuromodulators},
  booktitle = {Advances in Neural Information Processing Systems 35},
  year      = {2022}, eprint = {2206.01338}, archiveprefix = {arXiv},
  doi       = {10.48550/arXiv.2206.01338}
}`,
  Williams1989: `@article{Williams1989,
  author  = {Williams, Ronald J. and Zipser, David},
  title   = {A learning algorithm for continually running fully recurrent neural networks},
  journal = {Neural Computation},
  year    = {1989}, volume = {1}, number = {2}, pages = {270--280},
  doi     = {10.1162/neco.1989.1.2.270}
}`,
  Menick2020: `@misc{Menick2020,
  author = {Menick, Jacob and Elsen, Erich and Evci, Utku and Osindero, Simon and Simonyan, Karen and Graves, Alex},
  title  = {A practical sparse approximation for real time recurrent learning},
  year   = {2020}, eprint = {2006.07232}, archiveprefix = {arXiv},
  doi    = {10.48550/arXiv.2006.07232}
}`,
  Tallec2017: `@misc{Tallec2017,
  author = {Tallec, Corentin and Ollivier, Yann},
  title  = {Unbiased online recurrent optimization},
  year   = {2017}, eprint = {1702.05043}, archiveprefix = {arXiv},
  doi    = {10.48550/arXiv.1702.05043}
}`,
  Mujika2018: `@inproceedings{Mujika2018,
  author    = {Mujika, Asier and Meier, Florian and Steger, Angelika},
  title     = {Approximating real-time recurrent learning with random {Kronecker} factors},
  booktitle = {Advances in Neural Information Processing Systems 31},
  year      = {2018}, eprint = {1805.10842}, archiveprefix = {arXiv},
  doi       = {10.48550/arXiv.1805.10842}
}`,
  Barretto2026: `@misc{Barretto2026,
  author = {Barretto-Bittar, Jo{\\~a}o and Giannakakis, Emmanouil and Zeraati, Roxana and Levina, Anna},
  title  = {Diffusion of neuromodulators for temporal credit assignment},
  year   = {2026}, eprint = {2603.08949}, archiveprefix = {arXiv},
  doi    = {10.48550/arXiv.2603.08949}
}`,
  Shrestha2018: `@inproceedings{Shrestha2018,
  author    = {Shrestha, Sumit Bam and Orchard, Garrick},
  title     = {{SLAYER}: spike layer error reassignment in time},
  booktitle = {Advances in Neural Information Processing Systems 31},
  year      = {2018}, eprint = {1810.08646}, archiveprefix = {arXiv},
  doi       = {10.48550/arXiv.1810.08646}
}`,
  Zenke2018: `@article{Zenke2018,
  author  = {Zenke, Friedemann and Ganguli, Surya},
  title   = {{SuperSpike}: supervised learning in multilayer spiking neural networks},
  journal = {Neural Computation},
  year    = {2018}, volume = {30}, number = {6}, pages = {1514--1541},
  doi     = {10.1162/neco_a_01086}
}`,
  Fang2021: `@inproceedings{Fang2021,
  author    = {Fang, Wei and Yu, Zhaofei and Chen, Yanqi and Masquelier, Timoth{\\'e}e and Huang, Tiejun and Tian, Yonghong},
  title     = {Incorporating learnable membrane time constant to enhance learning of spiking neural networks},
  booktitle = {IEEE/CVF International Conference on Computer Vision},
  year      = {2021}, eprint = {2007.05785}, archiveprefix = {arXiv},
  doi       = {10.48550/arXiv.2007.05785}
}`,
  Kingma2015: `@inproceedings{Kingma2015,
  author    = {Kingma, Diederik P. and Ba, Jimmy},
  title     = {Adam: a method for stochastic optimization},
  booktitle = {International Conference on Learning Representations},
  year      = {2015}, eprint = {1412.6980}, archiveprefix = {arXiv},
  doi       = {10.48550/arXiv.1412.6980}
}`,
  Loshchilov2017: `@inproceedings{Loshchilov2017,
  author    = {Loshchilov, Ilya and Hutter, Frank},
  title     = {{SGDR}: stochastic gradient descent with warm restarts},
  booktitle = {International Conference on Learning Representations},
  year      = {2017}, eprint = {1608.03983}, archiveprefix = {arXiv},
  doi       = {10.48550/arXiv.1608.03983}
}`,
  Loshchilov2019: `@inproceedings{Loshchilov2019,
  author    = {Loshchilov, Ilya and Hutter, Frank},
  title     = {Decoupled weight decay regularization},
  booktitle = {International Conference on Learning Representations},
  year      = {2019}, eprint = {1711.05101}, archiveprefix = {arXiv},
  doi       = {10.48550/arXiv.1711.05101}
}`
} as const

/** The key of a work. */
export type Work = keyof typeof WORKS

/** The keys of all works. */
export const WORK_NAMES = Object.keys(WORKS) as Work[]

/** How a work is named in a sentence: `Liu et al. 2021`. */
export function named(work: Work): string {
  const [, authors = ''] = /author\s*= \{(.*)\},?$/m.exec(WORKS[work]) ?? []
  const people = authors.split(' and ').map(person => plain(person.split(',')[0] ?? ''))
  const [year = ''] = /\d+[a-z]?$/.exec(work) ?? []
  const [first = '', second] = people
  if (second === undefined) return `${first} ${year}`
  return people.length === 2 && second !== 'others' ? `${first} and ${second} ${year}` : `${first} et al. ${year}`
}

/** A name without TeX's accents. */
const plain = (text: string) =>
  text
    .replaceAll(/\{\\"u\}/g, 'ü')
    .replaceAll(/\{\\'e\}/g, 'é')
    .replaceAll(/\{\\~a\}/g, 'ã')
    .replaceAll(/[{}]/g, '')

/** The entries of works, and the software's own. */
export function bibliography(works: Iterable<Work>, version: string): string {
  const software = `@software{mdgl,
  author  = {{The mdgl authors}},
  title   = {mdgl: multidigraph learning for recurrent spiking networks, in Rust for Node},
  version = {${version}}
}`
  return [...new Set(works)]
    .sort()
    .map(work => WORKS[work] as string)
    .concat(software)
    .join('\n\n')
}
