export function PersonView() { return <></>; }
