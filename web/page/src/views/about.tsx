export function AboutView() { return <></>; }
